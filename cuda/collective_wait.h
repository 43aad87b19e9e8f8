// Waiting for what NCCL does on a stream. NCCL itself would wait for ever for a peer that is gone,
// so the host polls: the event behind the operation, NCCL's errors in the background, and the
// clock.
//
// Thread safety: one thread a communicator. Collective: no.
// Errors: kPeerFailed or kInternal as NCCL says, kDeadlineExceeded after `deadline`; the message
// names rank, step, phase and peer. The communicator was then aborted and must not be used, not
// even destroyed. Source: NCCL user guide 2.28, "Fault tolerance"; XGBoost polls likewise.
#pragma once

#include <string>

#include "base/clock.h"
#include "cuda/nccl_calls.h"

namespace trestle::cuda {

struct CollectiveWait {
  NcclComm comm;
  GpuEvent done;      // recorded behind the operation
  int64_t step = -1;  // -1: outside of training
  std::string phase;  // "push"
  std::string peers;  // whom it waits for: "rank 3", "all ranks"
};

Status WaitForCollective(GpuRuntime& runtime, NcclCalls& nccl, const Clock& clock,
                         Clock::Duration deadline, const CollectiveWait& wait);

}  // namespace trestle::cuda
