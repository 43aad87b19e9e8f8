// Partitions: a key's mixed 64 bits pick one of 65,536, for ever; servers own contiguous ranges.
// So a table written by 3 servers loads on 5: each reads the ranges it owns.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "base/types.h"

namespace trestle {

inline constexpr uint32_t kPartitions = 65'536;

inline uint32_t PartitionOf(Key key) { return static_cast<uint32_t>(Mix64(key.value) >> 48); }

// Server s of n owns partitions [ShardBegin(s, n), ShardBegin(s + 1, n)).
inline uint32_t ShardBegin(int server, int servers) {
  return static_cast<uint32_t>(uint64_t{kPartitions} * server / servers);
}
inline int ShardOf(uint32_t partition, int servers) {
  // The largest s with ShardBegin(s) <= partition.
  return static_cast<int>((uint64_t{partition + 1} * servers - 1) / kPartitions);
}

}  // namespace trestle
