// ExchangeCommunicator: all collectives, written once over a single primitive, a set of messages to
// and from named peers. What moves the messages (threads: thread_communicator.cc, MPI:
// mpi_communicator.cc) implements `Exchange` and nothing more. Because every wait is for messages
// of known peers, every deadline error can name who is missing, which a library's collective could
// not.
//
// Algorithms, for n members and b bytes: an all-reduce of more than kSmallBytes goes in two
// exchanges (each member sums its piece of everybody's values, then the finished pieces are shared:
// 2 b (n-1)/n bytes a member; 84 us against 187 in one exchange at n = 2, b = 800,000), a smaller
// one in one. So does a broadcast, if n > 2. Sums are integers, so their order does not matter.
//
// Thread safety: as communicator.h. Ownership: scratch memory is kept per stream and reused.
// Errors: the first failure of an exchange breaks the communicator: later operations are
// kPeerFailed. Source: Rabenseifner, "Optimization of collective reduction operations", ICCS 2004
// (the two phases).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/operation_errors.h"

namespace trestle {

struct OutgoingMessage {
  Rank to;
  const void* data = nullptr;
  size_t bytes = 0;  // zero bytes are a message too
};
struct IncomingMessage {
  Rank from;
  void* data = nullptr;
  size_t bytes = 0;
};

// One step of a collective: all its messages are under way at once. No message to oneself.
struct ExchangeRequest {
  Operation op;
  int64_t sequence = 0;  // count of exchanges on this stream; the same on both ends of a message
  std::chrono::steady_clock::time_point deadline;
  std::span<const OutgoingMessage> outgoing;
  std::span<const IncomingMessage> incoming;
};

class ExchangeCommunicator : public Communicator {
 public:
  static constexpr size_t kSmallBytes = 16 << 10;

  Rank rank() const final { return rank_; }
  int size() const final { return size_; }
  std::string host() const final { return host_; }
  Traffic traffic(Stream stream) const final;

  Status SetMembers(Stream stream, std::vector<Rank> members) final;
  Status AllToAll(Operation op, std::span<const ConstBuffer> send,
                  std::span<const MutableBuffer> recv) final;
  Status AllReduceSum(Operation op, std::span<int64_t> values) final;
  Status Broadcast(Operation op, MutableBuffer bytes, Rank root) final;
  Result<std::vector<std::string>> AllGather(Operation op, const std::string& text) final;
  Result<std::vector<std::string>> Gather(Operation op, const std::string& text, Rank root) final;
  Status Barrier(Operation op) final;

 protected:
  ExchangeCommunicator(Rank rank, int size, CommunicatorOptions options);

  // Moves all messages of the request, or says why not. kDeadlineExceeded (made by DeadlineError),
  // kPeerFailed, or kInternal when the two ends of a message disagree on its size.
  virtual Status Exchange(const ExchangeRequest& request) = 0;

  // The first failure so far; OK while the communicator is whole.
  Status failure() const;

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct StreamState {
    std::vector<Rank> members;
    int64_t exchanges = 0;
    std::vector<int64_t> scratch;
    std::vector<OutgoingMessage> outgoing;
    std::vector<IncomingMessage> incoming;
    std::vector<std::atomic<int64_t>> sent, received;  // bytes, by rank
  };

  // CHECKs that this rank is a member of the operation's stream; empty message lists.
  StreamState& Begin(const Operation& op);
  // Runs the messages collected in the stream's lists.
  Status Run(const Operation& op, TimePoint deadline, StreamState& state);
  TimePoint DeadlineFromNow(const Operation& op) const;
  bool IsPeer(Rank member) const { return member != rank_; }

  Status SumWhole(const Operation& op, TimePoint deadline, std::span<int64_t> values);
  Status SumByPieces(const Operation& op, TimePoint deadline, std::span<int64_t> values);
  // Every member owns an equal piece of `data`; afterwards all members have all pieces.
  Status SharePieces(const Operation& op, TimePoint deadline, std::byte* data, size_t elements,
                     size_t element_bytes);
  Result<std::vector<std::string>> GatherTexts(const Operation& op, const std::string& text,
                                               const std::vector<Rank>& roots);

  const Rank rank_;
  const int size_;
  const CommunicatorOptions options_;
  const std::string host_;
  std::array<StreamState, kStreamCount> streams_;
  mutable std::mutex failure_mutex_;
  Status failure_;
};

}  // namespace trestle
