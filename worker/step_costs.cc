#include "worker/step_costs.h"

#include <algorithm>
#include <numeric>

namespace trestle {

void StepCosts::AddKeys(const Lookup& lookup) {
  occurrences += lookup.occurrences();
  unique_keys += lookup.unique_keys();
  remote_keys += lookup.remote_keys();
  needed_bytes += lookup.needed_bytes();
}

Status StepCosts::SumOver(Communicator& comm, const Operation& op) {
  int64_t* const counts[] = {&occurrences, &unique_keys, &remote_keys, &needed_bytes,
                             &keys_bytes,  &rows_bytes,  &dense_bytes};
  std::vector<int64_t> sums(phase_ns.begin(), phase_ns.end());
  for (const int64_t* const count : counts) sums.push_back(*count);
  TRESTLE_RETURN_IF_ERROR(comm.AllReduceSum(op, sums));
  std::copy_n(sums.begin(), kStepPhases, phase_ns.begin());
  for (size_t i = 0; i < std::size(counts); ++i) *counts[i] = sums[kStepPhases + i];
  return {};
}

void PhaseTimer::End(StepPhase phase) {
  const Clock::Duration now = clock_.Now();
  costs_->phase_ns[static_cast<size_t>(phase)] += (now - last_).count();
  last_ = now;
}

TrafficMeter::TrafficMeter(const Communicator& comm, const std::vector<Rank>& dedicated_servers)
    : comm_(comm),
      dedicated_servers_(dedicated_servers),
      keys_before_(Bytes(Stream::kKeys)),
      rows_before_(Bytes(Stream::kRows)),
      dense_before_(Bytes(Stream::kDense)) {}

void TrafficMeter::AddTo(StepCosts* costs) const {
  costs->keys_bytes += Bytes(Stream::kKeys) - keys_before_;
  costs->rows_bytes += Bytes(Stream::kRows) - rows_before_;
  costs->dense_bytes += Bytes(Stream::kDense) - dense_before_;
}

int64_t TrafficMeter::Bytes(Stream stream) const {
  const Traffic traffic = comm_.traffic(stream);
  int64_t bytes = std::reduce(traffic.sent.begin(), traffic.sent.end());
  for (const Rank server : dedicated_servers_) {
    bytes += traffic.received[static_cast<size_t>(server.value)];
  }
  return bytes;
}

}  // namespace trestle
