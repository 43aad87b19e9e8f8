#include "worker/bucket_bounds.h"

#include <algorithm>

namespace trestle {

bool NeedsQuantiles(const Schema& schema) {
  return std::any_of(schema.buckets.begin(), schema.buckets.end(),
                     [](const BucketColumn& column) { return column.quantiles > 0; });
}

BucketBounds GivenBounds(const Schema& schema) {
  BucketBounds bounds;
  for (const BucketColumn& column : schema.buckets) bounds.push_back(column.bounds);
  return bounds;
}

bool IsQuantileRow(uint64_t file_index, uint64_t row_in_file, int64_t rows) {
  if (rows <= kQuantileRows) return true;
  const double share = static_cast<double>(kQuantileRows) / static_cast<double>(rows);
  return static_cast<double>(LedgerHash(file_index, row_in_file)) < share * 0x1p64;
}

std::vector<double> QuantileBounds(std::vector<double> cells, int quantiles) {
  std::sort(cells.begin(), cells.end());
  std::vector<double> bounds;
  for (size_t i = 1; i < static_cast<size_t>(quantiles) && !cells.empty(); ++i) {
    const double bound = cells[i * cells.size() / static_cast<size_t>(quantiles)];
    if (bound > (bounds.empty() ? cells.front() : bounds.back())) bounds.push_back(bound);
  }
  return bounds;
}

Result<BucketBounds> BoundsOf(const Dataset& dataset) {
  const Schema& schema = dataset.schema();
  BucketBounds bounds = GivenBounds(schema);
  if (!NeedsQuantiles(schema)) return bounds;
  TRESTLE_ASSIGN_OR_RETURN(auto cells, dataset.QuantileCells(0, dataset.blocks()));
  for (size_t b = 0; b < bounds.size(); ++b) {
    const int quantiles = schema.buckets[b].quantiles;
    if (quantiles > 0) bounds[b] = QuantileBounds(std::move(cells[b]), quantiles);
  }
  return bounds;
}

}  // namespace trestle
