// StepCosts: what training steps cost: where a worker's main thread spent its time, how many keys
// it asked for, and what went over wires for it. Reports of where a job could be faster (`trestle
// bench scaling`) are made of these alone; no bit of a model depends on them.
//
// Thread safety: one thread, the one that runs the steps. Collective: no; plain numbers, which the
// trainer sums over the workers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "comm/communicator.h"
#include "ps/client.h"

namespace trestle {

// Of a step, in its order. All time between the first step and the last is in one of them.
enum class StepPhase {
  kInput,      // waiting for the next step: its rows are read, its keys exchanged, meanwhile
  kPull,       // rows, from servers that may still be busy
  kCompute,    // gather, forward, backward, accumulate
  kAllReduce,  // dense sums, from workers that may still compute
  kPush,       // sums per key, gradients to the servers, their optimizer
  kUpdate,     // the dense optimizer
  kRest,       // counting, progress, checkpoints
};
inline constexpr int kStepPhases = 7;
inline constexpr std::array<const char*, kStepPhases> kStepPhaseNames = {
    "input", "pull", "compute", "all_reduce", "push", "update", "rest"};

struct StepCosts {
  std::array<int64_t, kStepPhases> phase_ns{};
  int64_t occurrences = 0;   // of ids
  int64_t unique_keys = 0;   // of the steps, each counted once a step and worker
  int64_t remote_keys = 0;   // of them, those on other ranks
  int64_t needed_bytes = 0;  // Lookup::needed_bytes
  // Sent by this worker, and to it by dedicated servers: so that sums over the workers count each
  // message once (but for the few words that dedicated servers exchange among themselves).
  int64_t keys_bytes = 0;   // stream kKeys: headers, keys, counts
  int64_t rows_bytes = 0;   // stream kRows: rows, gradients, verdicts
  int64_t dense_bytes = 0;  // stream kDense: sums of the network's gradients

  double phase_s(StepPhase phase) const {
    return static_cast<double>(phase_ns[static_cast<size_t>(phase)]) * 1e-9;
  }
  void AddKeys(const Lookup& lookup);
  // Sums over the workers, in place.
  Status SumOver(Communicator& comm, const Operation& op);
};

// Gives the time that passes to phases.
class PhaseTimer {
 public:
  PhaseTimer(const Clock& clock, StepCosts* costs)
      : clock_(clock), costs_(costs), last_(clock.Now()) {}
  // What was done since the last End, or the beginning, was this phase.
  void End(StepPhase phase);

 private:
  const Clock& clock_;
  StepCosts* const costs_;
  Clock::Duration last_;
};

// What goes over wires from its construction on.
class TrafficMeter {
 public:
  // Both outlive it.
  TrafficMeter(const Communicator& comm, const std::vector<Rank>& dedicated_servers);
  void AddTo(StepCosts* costs) const;  // so far

 private:
  int64_t Bytes(Stream stream) const;  // since the job began

  const Communicator& comm_;
  const std::vector<Rank>& dedicated_servers_;
  const int64_t keys_before_, rows_before_, dense_before_;
};

}  // namespace trestle
