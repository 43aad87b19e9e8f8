// WorkerKeys: what one worker asks for in one step, of one table: levels 1 and 2 of ps/dedup.h.
//
//   occurrence --(occurrences)--> position --(key_of)--> unique key --(lane_positions)--> positions
//
// A *position* numbers the distinct keys of each lane, lane after lane. Gradients of occurrences
// are added, in order, to their position's sum by the lane's thread; sums of positions are then
// added per unique key in fixed point.
//
// Thread safety: built by the keys thread, read by any thread afterwards. Memory is reused.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embedding/table.h"
#include "ps/buffer.h"
#include "ps/client.h"
#include "ps/dedup.h"
#include "ps/topology.h"

namespace trestle {

struct WorkerTable {
  // Level 1. The table's slots of lane l: occurrence_begin[l * slots + position of the slot].
  std::vector<size_t> occurrence_begin;  // [lanes * slots + 1]
  Buffer<uint32_t> occurrences;          // [occurrences] position of each
  std::vector<uint32_t> lane_begin;      // [lanes + 1] positions of lane l

  // Level 2.
  Buffer<uint32_t> key_of;            // [positions] unique key
  Buffer<Key> keys;                   // [unique] grouped by server
  Buffer<KeyCounts> counts;           // [unique] over the worker's lanes
  std::vector<uint32_t> shard_begin;  // [servers + 1] keys of server s
  Contributions lane_positions;       // [unique] positions; in training only

  uint32_t unique() const { return shard_begin.empty() ? 0 : shard_begin.back(); }
  uint32_t positions() const { return lane_begin.empty() ? 0 : lane_begin.back(); }
};

// Builds WorkerTables; the hash table and lists that one needs only meanwhile are kept for the
// next. Thread safety: one thread at a time.
class WorkerKeysBuilder {
 public:
  explicit WorkerKeysBuilder(const Topology& topology) : topology_(topology) {}

  // Every lane has a JaggedKeys for each slot, and slots of one table have equally many rows.
  void Build(std::span<const LaneKeys> lanes, bool training, std::vector<WorkerTable>* tables);

 private:
  void BuildTable(size_t table, std::span<const LaneKeys> lanes, bool training, WorkerTable* out);
  void DedupLane(size_t table, size_t lane, const LaneKeys& keys, WorkerTable* out);
  void CountKeys(size_t table, size_t lane, const LaneKeys& keys, const WorkerTable& out);

  const Topology& topology_;
  Deduplicator dedup_;
  ShardGrouper grouper_;
  Buffer<Key> lane_keys_;          // [positions]
  Buffer<KeyCounts> lane_counts_;  // [positions]
  Buffer<int32_t> last_row_;       // [distinct keys of a lane]
};

}  // namespace trestle
