// ScalingPoint: what one run of `trestle bench scaling` came to, read from the run's metrics.jsonl
// alone: the "cost" lines of its epochs and the digest of its "end" (worker/run_log.h).
//
// Thread safety: plain values. Collective: no.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"
#include "worker/step_costs.h"

namespace trestle {

struct ScalingPoint {
  int ranks = 0, hosts = 0, workers = 0;
  int threads = 0;  // a rank
  int64_t steps = 0, rows = 0;
  double seconds = 0;  // of the epochs, without evaluations
  std::array<double, kStepPhases> phase_s{};
  int64_t occurrences = 0, unique_keys = 0, remote_keys = 0;
  int64_t needed_bytes = 0, keys_bytes = 0, rows_bytes = 0, dense_bytes = 0;
  std::string digest;

  double samples_per_s() const { return static_cast<double>(rows) / seconds; }
  // Of the time of all workers within steps.
  double share(int phase) const;
  // On the wire, a sample: what keys, rows and their gradients took, what they need at the least
  // (Lookup::needed_bytes), and what the sums of the network's gradients took.
  double sparse_bytes() const { return PerSample(keys_bytes + rows_bytes); }
  double needed_sparse_bytes() const { return PerSample(needed_bytes); }
  double dense_bytes_per_sample() const { return PerSample(dense_bytes); }
  // sparse_bytes over needed_sparse_bytes; 0 where nothing is needed, as on one rank.
  double wire_ratio() const;

 private:
  double PerSample(int64_t bytes) const {
    return static_cast<double>(bytes) / static_cast<double>(rows);
  }
};

// Of the newest training in that folder. kInternal if metrics.jsonl does not tell all of it.
Result<ScalingPoint> ReadScalingPoint(FileSystem& fs, const std::string& run_folder, int ranks);

}  // namespace trestle
