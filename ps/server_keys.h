// ServerKeys: what the workers ask of one server in one step, of one table: level 3 of ps/dedup.h.
// A *request* numbers the keys as they came, worker after worker.
//
// Thread safety: built by the keys thread; handles and rows belong to the main thread afterwards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embedding/table.h"
#include "ps/buffer.h"
#include "ps/dedup.h"

namespace trestle {

struct ServerTable {
  std::vector<uint32_t> worker_begin;  // [workers + 1] requests of worker w
  Buffer<Key> requests;                // [requests]
  Buffer<KeyCounts> request_counts;    // [requests], in training

  Buffer<uint32_t> key_of;      // [requests] unique key
  Buffer<Key> keys;             // [unique]
  Buffer<KeyCounts> counts;     // [unique] over the workers, in training
  Contributions contributions;  // [unique] requests, in training

  Buffer<RowHandle> handles;  // [unique], from Pull to Push
  Buffer<float> rows;         // [unique, dim]

  uint32_t count(size_t worker) const { return worker_begin[worker + 1] - worker_begin[worker]; }
};

// Sets worker_begin and makes room for the requests.
void ResetRequests(std::span<const uint32_t> counts, bool training, ServerTable* table);

// Level 3, once the requests are there.
void DedupRequests(Deduplicator* dedup, bool training, ServerTable* table);

}  // namespace trestle
