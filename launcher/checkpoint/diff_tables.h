// Differences between two checkpoints in numbers: of one table's rows, of the dense tensors. Floats
// are equal when their bits are.
//
// Thread safety: pure functions. Memory: a block of rows of each. Errors: those of reading.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "ps/checkpoint/checkpoint_reader.h"

namespace trestle {

// The largest |a - b| of some pairs; a NaN on one side only counts as infinite.
struct LargestDifference {
  double value = 0;
  int64_t values = 0;  // that differ in their bits
  int64_t at = 0;      // what Compare got when it met the largest one

  void Compare(std::span<const float> a, std::span<const float> b, int64_t place);
};

struct TableDiff {
  int64_t only_a = 0, only_b = 0;
  int64_t equal = 0, differ = 0;  // of the rows in both
  // Of the rows that differ, those that do so in...
  int64_t weights = 0, state = 0, occurrences = 0, samples = 0, last_step = 0;
  LargestDifference weight;  // at: the row's key
  bool same() const { return only_a == 0 && only_b == 0 && differ == 0; }
};

// `a` and `b` have a table of that name and dim. Where the widths of the optimizer's state differ,
// so do all rows.
Result<TableDiff> DiffTable(const CheckpointReader& a, const TableEntry& table_a,
                            const CheckpointReader& b, const TableEntry& table_b);

}  // namespace trestle
