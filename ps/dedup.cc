#include "ps/dedup.h"

#include <glog/logging.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "base/hash.h"
#include "base/partition.h"

namespace trestle {
namespace {

constexpr size_t kPrefetch = 32;  // probes in flight; 16 to 64 measure the same

}  // namespace

void Deduplicator::Begin(size_t max_keys) {
  CHECK_LT(max_keys, size_t{1} << 31) << "keys of one table in one step";
  const size_t capacity = std::bit_ceil(std::max<size_t>(max_keys + max_keys / 2, 64));
  if (entries_.size() < capacity || epoch_ == std::numeric_limits<uint32_t>::max()) {
    entries_.assign(std::max(capacity, entries_.size()), Entry{0, 0, 0});
    epoch_ = 0;
  }
  mask_ = capacity - 1;
  ++epoch_;
  size_ = 0;
}

uint32_t Deduplicator::Add(std::span<const Key> keys, uint32_t base, uint32_t* inverse,
                           Key* unique) {
  // Copies of members that the stores below might otherwise alias.
  Entry* const entries = entries_.data();
  const uint64_t mask = mask_;
  const uint32_t epoch = epoch_;
  uint32_t size = size_;
  uint64_t home[kPrefetch];
  for (size_t block = 0; block < keys.size(); block += kPrefetch) {
    const size_t count = std::min(kPrefetch, keys.size() - block);
    for (size_t i = 0; i < count; ++i) {
      // The low bits: the high ones pick the partition, so a server sees a narrow range of them.
      home[i] = Mix64(keys[block + i].value) & mask;
      __builtin_prefetch(&entries[home[i]], 1);
    }
    for (size_t i = 0; i < count; ++i) {
      const uint64_t key = keys[block + i].value;
      uint64_t at = home[i];
      while (entries[at].epoch == epoch && entries[at].key != key) at = (at + 1) & mask;
      if (entries[at].epoch != epoch) {
        entries[at] = {key, size, epoch};
        unique[size++] = Key{key};
      }
      inverse[block + i] = base + entries[at].number;
    }
  }
  return size_ = size;
}

void Contributions::Build(std::span<const uint32_t> inverse, size_t unique) {
  const std::span<uint32_t> begin = begin_.Reset(unique + 1);
  const std::span<uint32_t> positions = positions_.Reset(inverse.size());
  std::fill(begin.begin(), begin.end(), 0);
  for (const uint32_t key : inverse) ++begin[key];
  uint32_t end = 0;
  for (uint32_t& b : begin) b = end += b;  // now the end of each key; filled from behind
  for (size_t i = inverse.size(); i-- > 0;)
    positions[--begin[inverse[i]]] = static_cast<uint32_t>(i);
}

void ShardGrouper::Group(int servers, std::span<Key> keys, std::span<uint32_t> inverse,
                         std::vector<uint32_t>* shard_begin) {
  shard_begin->assign(static_cast<size_t>(servers) + 1, 0);
  shard_begin->back() = static_cast<uint32_t>(keys.size());
  if (servers == 1) return;
  const std::span<uint16_t> shard = shard_.Reset(keys.size());
  std::vector<uint32_t>& begin = *shard_begin;
  std::fill(begin.begin(), begin.end(), 0);
  for (size_t i = 0; i < keys.size(); ++i) {
    shard[i] = static_cast<uint16_t>(ShardOf(PartitionOf(keys[i]), servers));
    ++begin[shard[i]];
  }
  uint32_t end = 0;
  for (uint32_t& b : begin) b = end += b;
  const std::span<uint32_t> renumbered = renumbered_.Reset(keys.size());
  const std::span<Key> grouped = grouped_.Reset(keys.size());
  for (size_t i = keys.size(); i-- > 0;) {
    renumbered[i] = --begin[shard[i]];
    grouped[renumbered[i]] = keys[i];
  }
  std::copy(grouped.begin(), grouped.end(), keys.begin());
  for (uint32_t& key : inverse) key = renumbered[key];
}

}  // namespace trestle
