// Where bucketized columns are cut: as the config says, or at quantiles of the training files.
//
// Quantiles are exact for up to kQuantileRows training rows; of more, about so many are looked at,
// chosen by a hash of the row's place, so that they are the same on any number of ranks. Cells that
// are missing or not finite do not count.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "worker/input.h"
#include "worker/schema.h"

namespace trestle {

inline constexpr int64_t kQuantileRows = 262'144;

// Ascending bounds of each of Schema::buckets.
using BucketBounds = std::vector<std::vector<double>>;

// Whether some bounds are quantiles, which training files must tell.
bool NeedsQuantiles(const Schema& schema);

// Those of the config; empty where they are quantiles.
BucketBounds GivenBounds(const Schema& schema);

// Whether quantiles look at the row, of a data set of so many rows.
bool IsQuantileRow(uint64_t file_index, uint64_t row_in_file, int64_t rows);

// The bounds between `quantiles` buckets with about equal numbers of cells: those at ranks
// i n / quantiles of the n sorted cells. Fewer where equal cells would make empty buckets.
std::vector<double> QuantileBounds(std::vector<double> cells, int quantiles);

// All bounds, by one reader of the whole data set.
Result<BucketBounds> BoundsOf(const Dataset& dataset);

}  // namespace trestle
