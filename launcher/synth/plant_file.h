// The Parquet files of the planted data, written row group by row group.
//
// Thread safety: one thread a file. Ownership: a file that is not closed is incomplete.
// Errors: kIoError with the path and the reason.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "launcher/synth/plant_model.h"

namespace trestle {

// Rows of a row group: small enough that a shuffle of groups and of the rows in each mixes well.
inline constexpr int64_t kPlantGroupRows = 4096;

// Rows of one split ("train", "test"), the first of which is number `first` in it.
struct PlantRows {
  std::string_view split;
  int64_t first = 0;
  std::span<const PlantRow> rows;
};

class PlantFile {
 public:
  virtual ~PlantFile() = default;
  virtual Status Write(const PlantRows& rows) = 0;  // one row group
  virtual Status Close() = 0;
};

// What models train on: user, item, cate, hist_item, hist_cate, click. Ids are written from 1.
Result<std::unique_ptr<PlantFile>> CreatePlantData(const std::string& path);
// What they must not see: split, row in the split, probability.
Result<std::unique_ptr<PlantFile>> CreatePlantOracle(const std::string& path);

}  // namespace trestle
