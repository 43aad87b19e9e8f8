// What writer and reader of shard files agree on: names and metadata keys, the columns of optimizer
// slots, and the index of record batches. docs/checkpoint-format.md describes it for others.
//
// Thread safety: pure functions. Errors: kInternal for a state width that is not the optimizer's;
// kCorrupt for an index that is none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace trestle {

// Metadata of the schema, and of the footer.
inline constexpr char kShardFormatKey[] = "trestle.format";
inline constexpr char kShardFormat[] = "shard 1";
inline constexpr char kShardTableKey[] = "trestle.table";
inline constexpr char kShardDimKey[] = "trestle.dim";
inline constexpr char kShardOptimizerKey[] = "trestle.optimizer";
inline constexpr char kShardIndexKey[] = "trestle.index";

// Columns: key, weights, the slots, and these three.
inline constexpr int kColumnsBeforeSlots = 2;
inline constexpr int kColumnsAfterSlots = 3;

// One column of optimizer state: `width` floats a row.
struct SlotColumn {
  std::string name;
  int width = 0;
  bool scalar = false;  // a plain column of floats; width is 1
};

// The slots of an optimizer by its config name, "adam"; one column "state" for those it does not
// know. Their widths add up to state_width.
Result<std::vector<SlotColumn>> SlotColumns(const std::string& optimizer, int dim, int state_width);

// A record batch's message in the file, and what it holds.
struct BatchEntry {
  int64_t offset = 0;
  int64_t bytes = 0;
  int64_t rows = 0;
  uint32_t first_partition = 0;  // of its first row
  uint32_t last_partition = 0;   // of its last row
  std::string xxh3_128;
};

// JSON: [[offset, bytes, rows, first, last, "hash"], ...].
std::string IndexText(const std::vector<BatchEntry>& batches);
Result<std::vector<BatchEntry>> ParseIndex(const std::string& path, const std::string& text);

}  // namespace trestle
