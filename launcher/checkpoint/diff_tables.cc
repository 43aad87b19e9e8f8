#include "launcher/checkpoint/diff_tables.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/hash.h"
#include "base/partition.h"
#include "launcher/checkpoint/row_block.h"

namespace trestle {
namespace {

bool SameBits(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

bool SameBits(std::span<const float> a, std::span<const float> b) {
  return std::ranges::equal(a, b, [](float x, float y) { return SameBits(x, y); });
}

double Distance(float a, float b) {
  if (std::isnan(a) && std::isnan(b)) return 0;
  const double distance = std::abs(static_cast<double>(a) - static_cast<double>(b));
  return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance;
}

void CompareRows(const RowView& a, const RowView& b, TableDiff* diff) {
  const bool weights = !SameBits(a.weights, b.weights), state = !SameBits(a.state, b.state);
  const bool occurrences = a.occurrences != b.occurrences, samples = a.samples != b.samples;
  const bool last_step = a.last_step != b.last_step;
  if (!weights && !state && !occurrences && !samples && !last_step) {
    ++diff->equal;
    return;
  }
  ++diff->differ;
  diff->weights += weights;
  diff->state += state;
  diff->occurrences += occurrences;
  diff->samples += samples;
  diff->last_step += last_step;
  diff->weight.Compare(a.weights, b.weights, static_cast<int64_t>(a.key.value));
}

// Both blocks are of the same partitions, ordered by mixed key: a merge.
void CompareBlocks(const RowBlock& a, const RowBlock& b, TableDiff* diff) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    const uint64_t left = Mix64(a[i].key.value), right = Mix64(b[j].key.value);
    if (left == right) {
      CompareRows(a[i++], b[j++], diff);
    } else if (left < right) {
      ++diff->only_a, ++i;
    } else {
      ++diff->only_b, ++j;
    }
  }
  diff->only_a += static_cast<int64_t>(a.size() - i);
  diff->only_b += static_cast<int64_t>(b.size() - j);
}

}  // namespace

void LargestDifference::Compare(std::span<const float> a, std::span<const float> b, int64_t place) {
  for (size_t d = 0; d < a.size(); ++d) {
    if (SameBits(a[d], b[d])) continue;
    const double distance = Distance(a[d], b[d]);
    if (values++ == 0 || distance > value) value = distance, at = place;
  }
}

Result<TableDiff> DiffTable(const CheckpointReader& a, const TableEntry& table_a,
                            const CheckpointReader& b, const TableEntry& table_b) {
  TableDiff diff;
  const uint32_t step = std::min(PartitionsOfBlock(table_a), PartitionsOfBlock(table_b));
  for (uint32_t begin = 0; begin < kPartitions; begin += step) {
    const uint32_t end = std::min(begin + step, kPartitions);
    TRESTLE_ASSIGN_OR_RETURN(const RowBlock left, RowBlock::Load(a, table_a, begin, end));
    TRESTLE_ASSIGN_OR_RETURN(const RowBlock right, RowBlock::Load(b, table_b, begin, end));
    CompareBlocks(left, right, &diff);
  }
  return diff;
}

}  // namespace trestle
