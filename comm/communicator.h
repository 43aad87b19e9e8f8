// Communicator: how the ranks of a job exchange messages. It hides whether ranks are threads of one
// process (thread_communicator.h, for tests and one-rank jobs) or processes under MPI
// (mpi_communicator.h); NCCL joins later, hence every buffer carries its device.
//
// A communicator has independent *streams*. Within one stream every member calls the same
// operations in the same order; streams do not order against one another. Each stream is used by
// one thread at a time; different streams may be used by different threads at once.
//
// Deadlines: every operation is nonblocking inside and polled to its own limit, or else to
// `CommunicatorOptions::deadline`; passing it is kDeadlineExceeded and names rank, step, phase and
// the peers that were waited for. The time counts what peers do before they come: give operations
// after long local work (reading all data, writing a model) a limit of their own.
// An error breaks the communicator: call Abort or return, no more communication. Except for
// kUnsupported, which is found before anything is sent, and what AgreeOnStatus agreed on.
//
// Collective: every method unless it says otherwise.
// Source: Gloo and XGBoost's collective for the deadline and error discipline.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/status.h"
#include "base/types.h"

namespace trestle {

enum class Device : uint8_t { kHost, kCuda };

// What travels on each: keys and headers of step t+1 while t computes; rows and sparse gradients;
// dense gradients and metrics; agreement, names, barriers.
enum class Stream : uint8_t { kKeys, kRows, kDense, kControl };
inline constexpr int kStreamCount = 4;

struct ConstBuffer {
  const void* data = nullptr;
  size_t bytes = 0;
  Device device = Device::kHost;
};
struct MutableBuffer {
  void* data = nullptr;
  size_t bytes = 0;
  Device device = Device::kHost;
};

// How long ranks may wait for one that reads or writes a large amount of data: a limit on hangs
// alone. Under MPI a rank that dies meanwhile still ends the job at once, through mpirun.
inline constexpr std::chrono::hours kLongPhase{24};

// Where an operation stands, for its error message. `phase` is a literal: "keys", "pull", "push".
// `limit` replaces CommunicatorOptions::deadline where a peer may rightly take longer; 0 does not.
struct Operation {
  Stream stream = Stream::kControl;
  const char* phase = "";
  int64_t step = -1;
  std::chrono::milliseconds limit{0};
};

// Bytes that a rank has moved on a stream so far, by the rank at the other end. What it gives to
// itself goes over no wire and is not counted, nor what the transport adds to a message.
struct Traffic {
  std::vector<int64_t> sent, received;  // [ranks]
};

struct CommunicatorOptions {
  std::chrono::milliseconds deadline{120'000};
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual Rank rank() const = 0;         // not collective
  virtual int size() const = 0;          // not collective
  virtual std::string host() const = 0;  // name of this rank's node; not collective
  // Not collective; from any thread. Of operations under way some messages may be counted already.
  virtual Traffic traffic(Stream stream) const = 0;

  // Limits `stream` to `members` (ascending), before its first use. All ranks call it. Operations
  // on the stream are then collective over the members alone; roots and buffers stay indexed by
  // rank. (MakeNode does it for the dense stream.)
  virtual Status SetMembers(Stream stream, std::vector<Rank> members) = 0;

  // Sends send[r] to rank r and fills recv[r] from rank r, r in [0, size()). Sizes must agree
  // pairwise (exchange counts first); an empty pair sends nothing. send[rank()] is copied to
  // recv[rank()].
  virtual Status AllToAll(Operation op, std::span<const ConstBuffer> send,
                          std::span<const MutableBuffer> recv) = 0;

  // Elementwise sum modulo 2^64 over the members, in place.
  virtual Status AllReduceSum(Operation op, std::span<int64_t> values) = 0;

  // `bytes` of the root on every member. The sizes must agree.
  virtual Status Broadcast(Operation op, MutableBuffer bytes, Rank root) = 0;

  // Every member's text, indexed by rank (empty for those that are not members), on every member.
  virtual Result<std::vector<std::string>> AllGather(Operation op, const std::string& text) = 0;

  // As AllGather, but only the root gets the texts; others get an empty vector.
  virtual Result<std::vector<std::string>> Gather(Operation op, const std::string& text,
                                                  Rank root) = 0;

  virtual Status Barrier(Operation op) = 0;

  // Ends the whole job at once with an exit code; not collective; does not return under MPI. In one
  // process it makes every pending and later operation of all ranks return kPeerFailed.
  virtual void Abort(int exit_code, const std::string& reason) = 0;
};

// All members learn the worst of their statuses: OK if all are, else the failure of the lowest
// rank, wrapped with that rank on the others. This is how a local failure becomes everybody's.
Status AgreeOnStatus(Communicator& comm, Operation op, const Status& local);

// Whether it is a failure after which nothing more may be communicated: a peer is gone, or was
// waited for too long and may still wait itself. Whoever has one ends the job; any other failure
// can be told to the others, and the job may go on.
[[nodiscard]] bool BreaksTheJob(const Status& status);

// A fixed-size value of every member, indexed by rank.
template <class T>
Result<std::vector<T>> AllGatherValue(Communicator& comm, Operation op, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<ConstBuffer> send(comm.size(), ConstBuffer{&value, sizeof(T)});
  std::vector<T> all(comm.size());
  std::vector<MutableBuffer> recv(comm.size());
  for (int r = 0; r < comm.size(); ++r) recv[r] = {&all[r], sizeof(T)};
  TRESTLE_RETURN_IF_ERROR(comm.AllToAll(op, send, recv));
  return all;
}

}  // namespace trestle
