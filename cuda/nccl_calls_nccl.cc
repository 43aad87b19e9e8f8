#include "cuda/nccl_calls_nccl.h"

#include <nccl.h>

#include <cstring>
#include <string>

namespace trestle::cuda {
namespace {

static_assert(sizeof(NcclId) == sizeof(ncclUniqueId));

Status Outcome(ncclResult_t result, const std::string& what, NcclComm comm = {}) {
  if (result == ncclSuccess || result == ncclInProgress) return {};
  const bool peer = result == ncclRemoteError || result == ncclSystemError;
  std::string text = "NCCL: " + what;
  if (comm.rank >= 0) text.append(", rank ").append(std::to_string(comm.rank));
  text.append(": ").append(ncclGetErrorString(result));
  const char* const last = ncclGetLastError(static_cast<ncclComm_t>(comm.handle));
  if (last != nullptr && *last != '\0') text.append(" (").append(last).append(")");
  return {peer ? StatusCode::kPeerFailed : StatusCode::kInternal, text};
}

ncclComm_t Native(NcclComm comm) { return static_cast<ncclComm_t>(comm.handle); }
cudaStream_t Native(GpuStream stream) { return static_cast<cudaStream_t>(stream.handle); }

class LinkedNccl final : public NcclCalls {
 public:
  int Version() const override {
    int version = 0;
    return ncclGetVersion(&version) == ncclSuccess ? version : 0;
  }

  Result<NcclId> MakeId() override {
    ncclUniqueId native;
    TRESTLE_RETURN_IF_ERROR(Outcome(ncclGetUniqueId(&native), "making an id"));
    NcclId id;
    std::memcpy(id.data(), &native, id.size());
    return id;
  }

  Result<NcclComm> Init(const NcclId& id, int rank, int ranks) override {
    ncclUniqueId native;
    std::memcpy(&native, id.data(), id.size());
    ncclComm_t comm = nullptr;
    TRESTLE_RETURN_IF_ERROR(Outcome(ncclCommInitRank(&comm, ranks, native, rank),
                                    "connecting " + std::to_string(ranks) + " ranks",
                                    {nullptr, rank}));
    return NcclComm{comm, rank};
  }

  Status Destroy(NcclComm comm) override {
    return Outcome(ncclCommDestroy(Native(comm)), "closing the communicator", {nullptr, comm.rank});
  }

  Status Abort(NcclComm comm) override {
    return Outcome(ncclCommAbort(Native(comm)), "aborting the communicator", {nullptr, comm.rank});
  }

  Status AsyncError(NcclComm comm) override {
    ncclResult_t error = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(Native(comm), &error);
    TRESTLE_RETURN_IF_ERROR(Outcome(asked, "asking for errors", comm));
    return Outcome(error, "in the background", comm);
  }

  Status BeginGroup() override { return Outcome(ncclGroupStart(), "opening a group"); }
  Status EndGroup() override { return Outcome(ncclGroupEnd(), "closing a group"); }

  Status Send(const void* bytes, size_t count, int peer, NcclComm comm, GpuStream stream) override {
    return Outcome(ncclSend(bytes, count, ncclUint8, peer, Native(comm), Native(stream)),
                   "sending to rank " + std::to_string(peer), comm);
  }

  Status Receive(void* bytes, size_t count, int peer, NcclComm comm, GpuStream stream) override {
    return Outcome(ncclRecv(bytes, count, ncclUint8, peer, Native(comm), Native(stream)),
                   "receiving from rank " + std::to_string(peer), comm);
  }

  Status AllReduce(void* data, size_t count, Sum of, NcclComm comm, GpuStream stream) override {
    const ncclDataType_t type = of == Sum::kInt64   ? ncclInt64
                                : of == Sum::kFloat ? ncclFloat32
                                                    : ncclBfloat16;
    return Outcome(ncclAllReduce(data, data, count, type, ncclSum, Native(comm), Native(stream)),
                   "summing over the ranks", comm);
  }
};

}  // namespace

NcclCalls& Nccl() {
  static LinkedNccl nccl;
  return nccl;
}

}  // namespace trestle::cuda
