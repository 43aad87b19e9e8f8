#include "ps/worker_keys.h"

#include <glog/logging.h>

#include <algorithm>
#include <numeric>

namespace trestle {

void WorkerKeysBuilder::Build(std::span<const LaneKeys> lanes, bool training,
                              std::vector<WorkerTable>* tables) {
  for (const LaneKeys& lane : lanes) {
    CHECK_EQ(lane.size(), topology_.slot_tables.size()) << "slots of a lane";
  }
  tables->resize(topology_.tables());
  for (size_t t = 0; t < tables->size(); ++t) BuildTable(t, lanes, training, &(*tables)[t]);
}

void WorkerKeysBuilder::BuildTable(size_t table, std::span<const LaneKeys> lanes, bool training,
                                   WorkerTable* out) {
  const std::vector<int>& slots = topology_.table_slots[table];
  out->occurrence_begin.assign(1, 0);
  for (const LaneKeys& lane : lanes) {
    for (const int slot : slots) {
      out->occurrence_begin.push_back(out->occurrence_begin.back() +
                                      lane[static_cast<size_t>(slot)].keys.size());
    }
  }
  const size_t occurrences = out->occurrence_begin.back();
  out->occurrences.Reset(occurrences);
  lane_keys_.Reset(occurrences);
  lane_counts_.Reset(occurrences);
  out->lane_begin.assign(1, 0);
  for (size_t l = 0; l < lanes.size(); ++l) {
    DedupLane(table, l, lanes[l], out);
    CountKeys(table, l, lanes[l], *out);
  }

  const uint32_t positions = out->positions();
  const std::span<uint32_t> key_of = out->key_of.Reset(positions);
  Key* const keys = out->keys.Reset(positions).data();
  uint32_t unique = positions;
  if (lanes.size() == 1) {  // distinct already
    std::copy_n(lane_keys_.data(), positions, keys);
    std::iota(key_of.begin(), key_of.end(), 0u);
  } else {
    dedup_.Begin(positions);
    unique = dedup_.Add(lane_keys_.span().first(positions), 0, key_of.data(), keys);
    out->keys.Truncate(unique);
  }
  grouper_.Group(static_cast<int>(topology_.servers.size()), {keys, unique}, key_of,
                 &out->shard_begin);
  const std::span<KeyCounts> counts = out->counts.Reset(unique);
  std::fill(counts.begin(), counts.end(), KeyCounts{});
  for (uint32_t p = 0; p < positions; ++p) {
    counts[key_of[p]].occurrences += lane_counts_[p].occurrences;
    counts[key_of[p]].samples += lane_counts_[p].samples;
  }
  if (training) out->lane_positions.Build(key_of, unique);
}

void WorkerKeysBuilder::DedupLane(size_t table, size_t lane, const LaneKeys& keys,
                                  WorkerTable* out) {
  const std::vector<int>& slots = topology_.table_slots[table];
  const size_t first = lane * slots.size();
  const uint32_t base = out->lane_begin.back();
  dedup_.Begin(out->occurrence_begin[first + slots.size()] - out->occurrence_begin[first]);
  uint32_t distinct = 0;
  for (size_t s = 0; s < slots.size(); ++s) {
    distinct = dedup_.Add(keys[static_cast<size_t>(slots[s])].keys, base,
                          out->occurrences.data() + out->occurrence_begin[first + s],
                          lane_keys_.data() + base);
  }
  out->lane_begin.push_back(base + distinct);
}

// A sample holds a key once however many of its slots do: so row by row, and a key remembers the
// last.
void WorkerKeysBuilder::CountKeys(size_t table, size_t lane, const LaneKeys& keys,
                                  const WorkerTable& out) {
  const std::vector<int>& slots = topology_.table_slots[table];
  const uint32_t base = out.lane_begin[lane];
  const std::span<int32_t> last_row = last_row_.Reset(out.lane_begin[lane + 1] - base);
  KeyCounts* const counts = lane_counts_.data() + base;
  std::fill(last_row.begin(), last_row.end(), -1);
  std::fill_n(counts, last_row.size(), KeyCounts{});
  if (slots.empty()) return;
  const size_t rows = keys[static_cast<size_t>(slots[0])].offsets.size() - 1;
  for (const int slot : slots) {
    const JaggedKeys& jagged = keys[static_cast<size_t>(slot)];
    CHECK_EQ(jagged.offsets.size() - 1, rows) << "rows of slot " << slot;
    CHECK_EQ(jagged.keys.size(), static_cast<size_t>(jagged.offsets.back())) << "slot " << slot;
  }
  for (size_t row = 0; row < rows; ++row) {
    for (size_t s = 0; s < slots.size(); ++s) {
      const std::vector<int32_t>& offsets = keys[static_cast<size_t>(slots[s])].offsets;
      const uint32_t* const position =
          out.occurrences.data() + out.occurrence_begin[lane * slots.size() + s];
      for (int32_t i = offsets[row]; i < offsets[row + 1]; ++i) {
        const uint32_t key = position[i] - base;
        ++counts[key].occurrences;
        if (last_row[key] == static_cast<int32_t>(row)) continue;
        last_row[key] = static_cast<int32_t>(row);
        ++counts[key].samples;
      }
    }
  }
}

}  // namespace trestle
