// NcclCalls: what Trestle needs of NCCL, as an interface: the plugin implements it with NCCL
// (cuda/nccl_calls_nccl.cc), tests on the CPU (tests/support/fake_nccl.h).
//
// Thread safety: one thread a communicator; Abort from any.
// Ownership: Init's communicator ends with Destroy, or with Abort after a failure.
// Device: host calls that queue work on a stream. Collective: Init, and all that moves data.
// Errors: kPeerFailed for what comes from another rank or the network, kInternal for the rest; the
// message names the operation, the rank, the stream and NCCL's own words.
// Source: NCCL user guide 2.28, "Point-to-point", "Fault tolerance".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/gpu_runtime.h"
#include "base/status.h"

namespace trestle::cuda {

// ncclComm_t.
struct NcclComm {
  void* handle = nullptr;
  int rank = -1;
};

// ncclUniqueId: one rank makes it, the others get its bytes over MPI.
using NcclId = std::array<char, 128>;

class NcclCalls {
 public:
  enum class Sum { kInt64, kFloat, kBf16 };  // of what

  virtual ~NcclCalls() = default;
  virtual int Version() const = 0;  // 22803 is 2.28.3
  virtual Result<NcclId> MakeId() = 0;
  virtual Result<NcclComm> Init(const NcclId& id, int rank, int ranks) = 0;
  virtual Status Destroy(NcclComm comm) = 0;
  virtual Status Abort(NcclComm comm) = 0;
  // What went wrong in the background since; OK while all is well.
  virtual Status AsyncError(NcclComm comm) = 0;

  // Sends and receives between Begin and End go as one operation: an all-to-all.
  virtual Status BeginGroup() = 0;
  virtual Status EndGroup() = 0;
  virtual Status Send(const void* bytes, size_t count, int peer, NcclComm comm,
                      GpuStream stream) = 0;
  virtual Status Receive(void* bytes, size_t count, int peer, NcclComm comm, GpuStream stream) = 0;
  // In place. `count` in elements.
  virtual Status AllReduce(void* data, size_t count, Sum of, NcclComm comm, GpuStream stream) = 0;
};

}  // namespace trestle::cuda
