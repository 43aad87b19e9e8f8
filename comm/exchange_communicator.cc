#include "comm/exchange_communicator.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace trestle {
namespace {

// The piece of member i of n: elements [PieceBegin(i), PieceBegin(i + 1)).
size_t PieceBegin(size_t elements, size_t i, size_t n) { return elements * i / n; }

size_t IndexOf(const std::vector<Rank>& members, Rank rank) {
  const auto it = std::lower_bound(members.begin(), members.end(), rank);
  CHECK(it != members.end() && *it == rank)
      << "rank " << rank.value << " is no member of the stream";
  return static_cast<size_t>(it - members.begin());
}

// Adds modulo 2^64: unsigned arithmetic, because signed overflow is undefined.
void AddInto(std::span<int64_t> sum, const int64_t* term) {
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] = static_cast<int64_t>(static_cast<uint64_t>(sum[i]) + static_cast<uint64_t>(term[i]));
  }
}

std::string HostName() {
  char name[256] = "";
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

Status CheckHost(Device device) {
  if (device == Device::kHost) return {};
  return {
      StatusCode::kUnsupported,
      "a buffer lies in GPU memory, but this communicator moves host memory only; copy it to the "
      "host first"};
}

}  // namespace

ExchangeCommunicator::ExchangeCommunicator(Rank rank, int size, CommunicatorOptions options)
    : rank_(rank), size_(size), options_(options), host_(HostName()) {
  for (StreamState& state : streams_) {
    for (int r = 0; r < size; ++r) state.members.push_back(Rank{r});
    state.sent = std::vector<std::atomic<int64_t>>(static_cast<size_t>(size));
    state.received = std::vector<std::atomic<int64_t>>(static_cast<size_t>(size));
  }
}

Traffic ExchangeCommunicator::traffic(Stream stream) const {
  const StreamState& state = streams_[static_cast<size_t>(stream)];
  return {{state.sent.begin(), state.sent.end()}, {state.received.begin(), state.received.end()}};
}

Status ExchangeCommunicator::SetMembers(Stream stream, std::vector<Rank> members) {
  StreamState& state = streams_[static_cast<size_t>(stream)];
  CHECK_EQ(state.exchanges, 0) << "SetMembers after the first use of the stream";
  CHECK(!members.empty()) << "a stream needs members";
  for (size_t i = 0; i < members.size(); ++i) {
    CHECK(members[i].value >= 0 && members[i].value < size_) << "no rank " << members[i].value;
    CHECK(i == 0 || members[i - 1] < members[i]) << "members must ascend";
  }
  state.members = std::move(members);
  return {};
}

Status ExchangeCommunicator::AllToAll(Operation op, std::span<const ConstBuffer> send,
                                      std::span<const MutableBuffer> recv) {
  CHECK_EQ(send.size(), static_cast<size_t>(size_));
  CHECK_EQ(recv.size(), static_cast<size_t>(size_));
  StreamState& state = Begin(op);
  for (const Rank member : state.members) {
    const ConstBuffer& out = send[static_cast<size_t>(member.value)];
    const MutableBuffer& in = recv[static_cast<size_t>(member.value)];
    TRESTLE_RETURN_IF_ERROR(CheckHost(out.device));
    TRESTLE_RETURN_IF_ERROR(CheckHost(in.device));
    if (member == rank_) {
      CHECK_EQ(out.bytes, in.bytes) << "what a rank sends to itself";
      if (out.bytes > 0 && out.data != in.data) std::memmove(in.data, out.data, out.bytes);
      continue;
    }
    if (out.bytes > 0) state.outgoing.push_back({member, out.data, out.bytes});
    if (in.bytes > 0) state.incoming.push_back({member, in.data, in.bytes});
  }
  return Run(op, DeadlineFromNow(op), state);
}

Status ExchangeCommunicator::AllReduceSum(Operation op, std::span<int64_t> values) {
  const TimePoint deadline = DeadlineFromNow(op);
  if (values.size_bytes() <= kSmallBytes) return SumWhole(op, deadline, values);
  return SumByPieces(op, deadline, values);
}

// Everybody sends all values to everybody.
Status ExchangeCommunicator::SumWhole(const Operation& op, TimePoint deadline,
                                      std::span<int64_t> values) {
  StreamState& state = Begin(op);
  state.scratch.resize(values.size() * state.members.size());
  int64_t* term = state.scratch.data();
  for (const Rank member : state.members) {
    if (!IsPeer(member)) continue;
    state.outgoing.push_back({member, values.data(), values.size_bytes()});
    state.incoming.push_back({member, term, values.size_bytes()});
    term += values.size();
  }
  TRESTLE_RETURN_IF_ERROR(Run(op, deadline, state));
  for (const IncomingMessage& in : state.incoming) {
    AddInto(values, static_cast<const int64_t*>(in.data));
  }
  return {};
}

// Each member sums its piece of everybody's values; then the finished pieces are shared.
Status ExchangeCommunicator::SumByPieces(const Operation& op, TimePoint deadline,
                                         std::span<int64_t> values) {
  StreamState& state = Begin(op);
  const size_t n = state.members.size();
  const auto piece = [&](size_t i) {
    const size_t begin = PieceBegin(values.size(), i, n);
    return values.subspan(begin, PieceBegin(values.size(), i + 1, n) - begin);
  };
  const std::span<int64_t> own = piece(IndexOf(state.members, rank_));
  state.scratch.resize(own.size() * n);
  int64_t* term = state.scratch.data();
  for (size_t i = 0; i < n; ++i) {
    if (!IsPeer(state.members[i])) continue;
    state.outgoing.push_back({state.members[i], piece(i).data(), piece(i).size_bytes()});
    state.incoming.push_back({state.members[i], term, own.size_bytes()});
    term += own.size();
  }
  TRESTLE_RETURN_IF_ERROR(Run(op, deadline, state));
  for (const IncomingMessage& in : state.incoming) {
    AddInto(own, static_cast<const int64_t*>(in.data));
  }
  return SharePieces(op, deadline, reinterpret_cast<std::byte*>(values.data()), values.size(),
                     sizeof(int64_t));
}

Status ExchangeCommunicator::SharePieces(const Operation& op, TimePoint deadline, std::byte* data,
                                         size_t elements, size_t element_bytes) {
  StreamState& state = Begin(op);
  const size_t n = state.members.size();
  const auto begin = [&](size_t i) { return PieceBegin(elements, i, n) * element_bytes; };
  const size_t own = IndexOf(state.members, rank_);
  for (size_t i = 0; i < n; ++i) {
    if (i == own) continue;
    state.outgoing.push_back({state.members[i], data + begin(own), begin(own + 1) - begin(own)});
    state.incoming.push_back({state.members[i], data + begin(i), begin(i + 1) - begin(i)});
  }
  return Run(op, deadline, state);
}

Status ExchangeCommunicator::Broadcast(Operation op, MutableBuffer bytes, Rank root) {
  TRESTLE_RETURN_IF_ERROR(CheckHost(bytes.device));
  StreamState& state = Begin(op);
  const TimePoint deadline = DeadlineFromNow(op);
  const size_t n = state.members.size();
  const size_t root_index = IndexOf(state.members, root);
  const bool pieces = n > 2 && bytes.bytes > kSmallBytes;
  auto* data = static_cast<std::byte*>(bytes.data);
  const auto begin = [&](size_t i) { return pieces ? PieceBegin(bytes.bytes, i, n) : 0; };
  const auto end = [&](size_t i) {
    return pieces ? PieceBegin(bytes.bytes, i + 1, n) : bytes.bytes;
  };
  if (rank_ == root) {
    for (size_t i = 0; i < n; ++i) {
      if (i == root_index) continue;
      state.outgoing.push_back({state.members[i], data + begin(i), end(i) - begin(i)});
    }
  } else {
    const size_t own = IndexOf(state.members, rank_);
    state.incoming.push_back({root, data + begin(own), end(own) - begin(own)});
  }
  TRESTLE_RETURN_IF_ERROR(Run(op, deadline, state));
  return pieces ? SharePieces(op, deadline, data, bytes.bytes, 1) : Ok();
}

Result<std::vector<std::string>> ExchangeCommunicator::AllGather(Operation op,
                                                                 const std::string& text) {
  return GatherTexts(op, text, std::vector<Rank>(Begin(op).members));
}

Result<std::vector<std::string>> ExchangeCommunicator::Gather(Operation op, const std::string& text,
                                                              Rank root) {
  IndexOf(Begin(op).members, root);
  return GatherTexts(op, text, {root});
}

// Sizes first, then texts, to each of `roots`.
Result<std::vector<std::string>> ExchangeCommunicator::GatherTexts(const Operation& op,
                                                                   const std::string& text,
                                                                   const std::vector<Rank>& roots) {
  const TimePoint deadline = DeadlineFromNow(op);
  const bool is_root = std::binary_search(roots.begin(), roots.end(), rank_);
  const uint64_t own_size = text.size();
  std::vector<uint64_t> sizes(static_cast<size_t>(size_));
  std::vector<std::string> texts(is_root ? static_cast<size_t>(size_) : 0);

  StreamState& state = Begin(op);
  for (const Rank root : roots) {
    if (IsPeer(root)) state.outgoing.push_back({root, &own_size, sizeof(own_size)});
  }
  for (const Rank member : state.members) {
    if (!is_root || !IsPeer(member)) continue;
    state.incoming.push_back({member, &sizes[static_cast<size_t>(member.value)], sizeof(uint64_t)});
  }
  TRESTLE_RETURN_IF_ERROR(Run(op, deadline, state));

  Begin(op);
  for (const Rank root : roots) {
    if (IsPeer(root) && !text.empty()) state.outgoing.push_back({root, text.data(), text.size()});
  }
  if (is_root) texts[static_cast<size_t>(rank_.value)] = text;
  for (const Rank member : state.members) {
    const size_t m = static_cast<size_t>(member.value);
    if (!is_root || !IsPeer(member) || sizes[m] == 0) continue;
    texts[m].resize(sizes[m]);
    state.incoming.push_back({member, texts[m].data(), texts[m].size()});
  }
  TRESTLE_RETURN_IF_ERROR(Run(op, deadline, state));
  return texts;
}

Status ExchangeCommunicator::Barrier(Operation op) {
  StreamState& state = Begin(op);
  for (const Rank member : state.members) {
    if (!IsPeer(member)) continue;
    state.outgoing.push_back({member, nullptr, 0});
    state.incoming.push_back({member, nullptr, 0});
  }
  return Run(op, DeadlineFromNow(op), state);
}

ExchangeCommunicator::StreamState& ExchangeCommunicator::Begin(const Operation& op) {
  StreamState& state = streams_[static_cast<size_t>(op.stream)];
  IndexOf(state.members, rank_);
  state.outgoing.clear();
  state.incoming.clear();
  return state;
}

Status ExchangeCommunicator::Run(const Operation& op, TimePoint deadline, StreamState& state) {
  if (Status earlier = failure(); !earlier.ok()) {
    return Status(StatusCode::kPeerFailed, "no more communication after: " + earlier.ToString())
        .Wrap(Describe(rank_, op));
  }
  const ExchangeRequest request{op, state.exchanges++, deadline, state.outgoing, state.incoming};
  if (request.outgoing.empty() && request.incoming.empty()) return {};
  for (const OutgoingMessage& message : request.outgoing) {
    state.sent[static_cast<size_t>(message.to.value)] += static_cast<int64_t>(message.bytes);
  }
  for (const IncomingMessage& message : request.incoming) {
    state.received[static_cast<size_t>(message.from.value)] += static_cast<int64_t>(message.bytes);
  }
  Status status = Exchange(request);
  if (!status.ok()) {
    std::lock_guard lock(failure_mutex_);
    if (failure_.ok()) failure_ = status;
  }
  return status;
}

ExchangeCommunicator::TimePoint ExchangeCommunicator::DeadlineFromNow(const Operation& op) const {
  return std::chrono::steady_clock::now() + WaitOf(op, options_.deadline);
}

Status ExchangeCommunicator::failure() const {
  std::lock_guard lock(failure_mutex_);
  return failure_;
}

}  // namespace trestle
