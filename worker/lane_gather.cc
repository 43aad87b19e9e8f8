#include "worker/lane_gather.h"

#include <algorithm>
#include <cstring>

namespace trestle {
namespace {

void GatherIds(const BlockKeys& ids, std::span<const int32_t> rows, JaggedKeys* out) {
  const size_t at = out->keys.size();
  out->keys.resize(at + rows.size());
  out->offsets.resize(at + rows.size() + 1);
  for (size_t i = 0; i < rows.size(); ++i) {
    out->keys[at + i].value = ids.keys[rows[i]];
    out->offsets[at + i + 1] = static_cast<int32_t>(at + i + 1);
  }
}

// Offsets first, so that keys are copied into memory of the right size.
void GatherLists(const BlockKeys& lists, int keep_last, std::span<const int32_t> rows,
                 JaggedKeys* out) {
  const size_t at = out->offsets.size();
  out->offsets.resize(at + rows.size());
  int32_t end = out->offsets[at - 1];
  for (size_t i = 0; i < rows.size(); ++i) {
    end += std::min(lists.offsets[rows[i] + 1] - lists.offsets[rows[i]], keep_last);
    out->offsets[at + i] = end;
  }
  out->keys.resize(static_cast<size_t>(end));
  static_assert(sizeof(Key) == sizeof(uint64_t));
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto count = static_cast<size_t>(out->offsets[at + i] - out->offsets[at + i - 1]);
    if (count == 0) continue;
    std::memcpy(static_cast<void*>(&out->keys[static_cast<size_t>(out->offsets[at + i - 1])]),
                lists.keys + lists.offsets[rows[i] + 1] - count, count * sizeof(Key));
  }
}

}  // namespace

LaneRows EmptyLane(const Schema& schema) {
  LaneRows lane;
  lane.slots.resize(schema.slots.size());
  lane.slices.resize(schema.slices.size());
  return lane;
}

void GatherRows(const Schema& schema, const Block& block, std::span<const int32_t> rows,
                LaneRows* lane) {
  for (size_t s = 0; s < schema.slots.size(); ++s) {
    if (schema.slots[s].sequence_group < 0) {
      GatherIds(block.slots[s], rows, &lane->slots[s]);
    } else {
      GatherLists(block.slots[s], schema.slots[s].keep_last, rows, &lane->slots[s]);
    }
  }
  const size_t at = static_cast<size_t>(lane->rows);
  const size_t width = schema.numeric.size();
  lane->numeric.resize((at + rows.size()) * width);
  lane->labels.resize(at + rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows[i]);
    std::copy_n(block.numeric.data() + row * width, width, lane->numeric.data() + (at + i) * width);
    lane->labels[at + i] = block.labels[row];
  }
  if (!block.weights.empty()) {
    lane->weights.resize(at + rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      lane->weights[at + i] = block.weights[static_cast<size_t>(rows[i])];
    }
  }
  if (block.group.keys) {
    lane->groups.resize(at + rows.size());
    for (size_t i = 0; i < rows.size(); ++i) lane->groups[at + i] = block.group.keys[rows[i]];
  }
  for (size_t s = 0; s < block.slices.size(); ++s) {
    const BlockTexts& texts = block.slices[s];
    for (const int32_t row : rows) {
      lane->slices[s].push_back(texts.values[static_cast<size_t>(texts.of_row[row])]);
    }
  }
  lane->rows += static_cast<int64_t>(rows.size());
}

}  // namespace trestle
