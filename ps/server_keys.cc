#include "ps/server_keys.h"

#include <algorithm>
#include <numeric>

namespace trestle {

void ResetRequests(std::span<const uint32_t> counts, bool training, ServerTable* table) {
  table->worker_begin.assign(1, 0);
  for (const uint32_t count : counts) {
    table->worker_begin.push_back(table->worker_begin.back() + count);
  }
  table->requests.Reset(table->worker_begin.back());
  table->request_counts.Reset(training ? table->worker_begin.back() : 0);
}

void DedupRequests(Deduplicator* dedup, bool training, ServerTable* table) {
  const size_t requests = table->requests.size();
  const std::span<uint32_t> key_of = table->key_of.Reset(requests);
  table->keys.Reset(requests);
  size_t unique = requests;
  if (table->worker_begin.size() == 2) {  // one worker: distinct already
    std::copy_n(table->requests.data(), requests, table->keys.data());
    std::iota(key_of.begin(), key_of.end(), 0u);
  } else {
    dedup->Begin(requests);
    unique = dedup->Add(table->requests.span(), 0, key_of.data(), table->keys.data());
    table->keys.Truncate(unique);
  }
  if (!training) return;
  const std::span<KeyCounts> counts = table->counts.Reset(unique);
  std::fill(counts.begin(), counts.end(), KeyCounts{});
  for (size_t r = 0; r < requests; ++r) {
    counts[key_of[r]].occurrences += table->request_counts[r].occurrences;
    counts[key_of[r]].samples += table->request_counts[r].samples;
  }
  table->contributions.Build(key_of, unique);
}

}  // namespace trestle
