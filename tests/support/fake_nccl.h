// FakeNccl: NcclCalls of one rank whose peer never answers, or whose network breaks.
// Thread safety: one thread. Errors: what a test sets.
#pragma once

#include "cuda/nccl_calls.h"

namespace trestle::cuda {

class FakeNccl : public NcclCalls {
 public:
  Status async_error;
  int polls_until_error = 0;
  int aborted = 0;

  int Version() const override { return 22803; }
  Result<NcclId> MakeId() override { return NcclId{}; }
  Result<NcclComm> Init(const NcclId&, int rank, int) override { return NcclComm{this, rank}; }
  Status Destroy(NcclComm) override { return {}; }
  Status Abort(NcclComm) override {
    ++aborted;
    return {};
  }
  Status AsyncError(NcclComm) override { return polls_until_error-- > 0 ? Status() : async_error; }
  Status BeginGroup() override { return {}; }
  Status EndGroup() override { return {}; }
  Status Send(const void*, size_t, int, NcclComm, GpuStream) override { return {}; }
  Status Receive(void*, size_t, int, NcclComm, GpuStream) override { return {}; }
  Status AllReduce(void*, size_t, Sum, NcclComm, GpuStream) override { return {}; }
};

}  // namespace trestle::cuda
