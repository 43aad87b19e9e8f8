#include "cuda/collective_wait.h"

#include <glog/logging.h>

#include <chrono>

namespace trestle::cuda {
namespace {

// Short against a step, long against a poll.
constexpr Clock::Duration kBetweenPolls = std::chrono::microseconds(20);

std::string Where(const CollectiveWait& wait) {
  std::string text = "rank " + std::to_string(wait.comm.rank);
  if (wait.step >= 0) text.append(", step ").append(std::to_string(wait.step));
  return text.append(", ").append(wait.phase);
}

Status Aborted(NcclCalls& nccl, const CollectiveWait& wait, const Status& why) {
  const Status aborted = nccl.Abort(wait.comm);
  LOG_IF(ERROR, !aborted.ok()) << aborted.ToString();
  return why.Wrap(Where(wait));
}

}  // namespace

Status WaitForCollective(GpuRuntime& runtime, NcclCalls& nccl, const Clock& clock,
                         Clock::Duration deadline, const CollectiveWait& wait) {
  const Clock::Duration until = clock.Now() + deadline;
  for (;;) {
    const Result<bool> done = runtime.Done(wait.done);
    if (!done.ok()) return Aborted(nccl, wait, done.status());
    if (*done) return {};
    const Status error = nccl.AsyncError(wait.comm);
    if (!error.ok()) return Aborted(nccl, wait, error.Wrap("exchanging with " + wait.peers));
    if (clock.Now() >= until) {
      return Aborted(nccl, wait,
                     {StatusCode::kDeadlineExceeded,
                      "waited " + std::to_string(static_cast<int64_t>(Seconds(deadline))) +
                          " s for " + wait.peers + " over NCCL"});
    }
    clock.SleepFor(kBetweenPolls);
  }
}

}  // namespace trestle::cuda
