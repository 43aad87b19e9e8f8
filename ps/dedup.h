// Deduplication: one idea, used three times on the way from occurrences to rows.
//
//   level 1   occurrences of a table in one lane   ->  keys of the lane
//   level 2   keys of the lanes of one worker      ->  keys of the worker, grouped by server
//   level 3   keys that the workers ask a server   ->  keys of the server
//
// Each level maps positions to unique keys (`inverse`: used to spread rows) and, where gradients
// flow back, unique keys to positions (`Contributions`: used to sum without atomics).
//
// Thread safety: an object belongs to one thread at a time. Memory is reused from call to call.
// Invariants: the order of unique keys is that of first occurrence, so it is a function of the
// input.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/types.h"
#include "ps/buffer.h"

namespace trestle {

// A set of keys that numbers them in the order they come. Open addressing in a table at most half
// full, with the probes of a block of keys prefetched together.
class Deduplicator {
 public:
  // Forgets all keys. At most `max_keys` (summed over the Adds that follow) will be added.
  void Begin(size_t max_keys);

  // Numbers keys: inverse[i] = base + number of keys[i]; a key not met since Begin takes the next
  // number and is written to unique[number]. `unique` needs room for all keys and stays the same
  // between Begin and the last Add. Returns how many distinct keys there are since Begin.
  uint32_t Add(std::span<const Key> keys, uint32_t base, uint32_t* inverse, Key* unique);

 private:
  struct Entry {
    uint64_t key;
    uint32_t number;
    uint32_t epoch;  // the entry is empty unless this is the current epoch: nothing is ever cleared
  };
  std::vector<Entry> entries_;
  uint64_t mask_ = 0;
  uint32_t epoch_ = 0;
  uint32_t size_ = 0;
};

// For each unique key the positions that map to it, ascending: CSR of the transposed inverse.
class Contributions {
 public:
  // inverse[i] < unique for each position i.
  void Build(std::span<const uint32_t> inverse, size_t unique);

  std::span<const uint32_t> operator[](size_t key) const {
    return positions_.span().subspan(begin_[key], begin_[key + 1] - begin_[key]);
  }
  size_t size() const { return begin_.size() - 1; }
  // All keys' positions, one key after another: those of `key` are [begin(key), begin(key + 1)).
  std::span<const uint32_t> positions() const { return positions_.span(); }
  size_t begin(size_t key) const { return begin_[key]; }

 private:
  Buffer<uint32_t> begin_;      // [unique + 1]
  Buffer<uint32_t> positions_;  // [positions]
};

// Reorders unique keys so that each server's are contiguous (stable inside a server) and renumbers
// the inverse. shard_begin [servers + 1]: server s owns keys [shard_begin[s], shard_begin[s + 1]).
class ShardGrouper {
 public:
  void Group(int servers, std::span<Key> keys, std::span<uint32_t> inverse,
             std::vector<uint32_t>* shard_begin);

 private:
  Buffer<uint16_t> shard_;
  Buffer<uint32_t> renumbered_;
  Buffer<Key> grouped_;
};

}  // namespace trestle
