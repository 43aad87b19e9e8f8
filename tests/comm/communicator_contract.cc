#include "tests/comm/communicator_contract.h"

#include <gmock/gmock.h>

#include <cstring>
#include <random>
#include <thread>

namespace trestle {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;

constexpr uint64_t kSeed = 20240607;

// The message that rank `from` sends to rank `to` in a round; every rank can compute it.
Bytes ModelMessage(uint64_t seed, int round, int from, int to) {
  std::seed_seq sequence{seed, uint64_t(round), uint64_t(from), uint64_t(to)};
  std::mt19937_64 random(sequence);
  constexpr size_t kLimits[] = {0, 0, 9, 5'000, 70'000};  // two pairs in five are empty
  const size_t limit = kLimits[random() % std::size(kLimits)];
  Bytes message(limit == 0 ? 0 : random() % limit);
  for (std::byte& b : message) b = static_cast<std::byte>(random());
  return message;
}

Status AllToAllRound(Communicator& comm, Stream stream, uint64_t seed, int round) {
  SCOPED_TRACE(::testing::Message() << "seed " << seed << " round " << round);
  const int self = comm.rank().value;
  std::vector<Bytes> out, in;
  std::vector<ConstBuffer> send;
  std::vector<MutableBuffer> recv;
  for (int r = 0; r < comm.size(); ++r) {
    out.push_back(ModelMessage(seed, round, self, r));
    in.emplace_back(ModelMessage(seed, round, r, self).size());
  }
  for (size_t r = 0; r < out.size(); ++r) {
    send.push_back({out[r].data(), out[r].size()});
    recv.push_back({in[r].data(), in[r].size()});
  }
  TRESTLE_RETURN_IF_ERROR(comm.AllToAll({stream, "test", round}, send, recv));
  for (int r = 0; r < comm.size(); ++r) {
    EXPECT_EQ(in[size_t(r)], ModelMessage(seed, round, r, self)) << "from rank " << r;
  }
  return {};
}

std::vector<int64_t> ModelValues(size_t count, int rank) {
  std::seed_seq sequence{kSeed, uint64_t(count), uint64_t(rank)};
  std::mt19937_64 random(sequence);
  std::vector<int64_t> values(count);
  for (int64_t& v : values) v = static_cast<int64_t>(random());
  return values;
}

Status AllReduceOf(Communicator& comm, Stream stream, size_t count, const std::vector<int>& ranks) {
  SCOPED_TRACE(::testing::Message() << count << " values");
  std::vector<uint64_t> sum(count);
  for (const int r : ranks) {
    const std::vector<int64_t> values = ModelValues(count, r);
    for (size_t i = 0; i < count; ++i) sum[i] += static_cast<uint64_t>(values[i]);
  }
  std::vector<int64_t> values = ModelValues(count, comm.rank().value);
  TRESTLE_RETURN_IF_ERROR(comm.AllReduceSum({stream, "test"}, values));
  EXPECT_TRUE(count == 0 || std::memcmp(values.data(), sum.data(), count * sizeof(int64_t)) == 0);
  return {};
}

std::vector<int> AllRanks(const Communicator& comm) {
  std::vector<int> ranks;
  for (int r = 0; r < comm.size(); ++r) ranks.push_back(r);
  return ranks;
}

Status AllToAllMovesRandomPatterns(Communicator& comm) {
  for (int round = 0; round < 60; ++round) {
    TRESTLE_RETURN_IF_ERROR(AllToAllRound(comm, Stream::kRows, kSeed, round));
  }
  return {};
}

// Random 64-bit values: their sums wrap. 2,048 values are the largest sum in one exchange.
Status AllReduceSumsModulo64Bits(Communicator& comm) {
  for (const size_t count : {0u, 1u, 7u, 2'048u, 2'049u, 50'001u}) {
    TRESTLE_RETURN_IF_ERROR(AllReduceOf(comm, Stream::kRows, count, AllRanks(comm)));
  }
  return {};
}

Status BroadcastReachesAllFromAnyRoot(Communicator& comm) {
  for (int root = 0; root < comm.size(); ++root) {
    for (const size_t bytes : {0u, 1u, 16'384u, 16'385u, 100'003u}) {
      const auto value = [&](size_t i) { return std::byte(i * 31 + size_t(root)); };
      Bytes data(bytes);
      if (comm.rank() == Rank{root}) {
        for (size_t i = 0; i < bytes; ++i) data[i] = value(i);
      }
      TRESTLE_RETURN_IF_ERROR(
          comm.Broadcast({Stream::kControl, "test"}, {data.data(), bytes}, Rank{root}));
      size_t wrong = 0;
      for (size_t i = 0; i < bytes; ++i) wrong += data[i] != value(i);
      EXPECT_EQ(wrong, 0u) << bytes << " bytes of root " << root;
    }
  }
  return {};
}

// Texts of all lengths, with a NUL and with nothing.
std::string ModelText(int rank) {
  if (rank % 3 == 1) return "";
  return std::string(size_t(rank) * 4'000, char('a' + rank)) + std::string("\0end", 4);
}

Status GatherBringsTextsByRank(Communicator& comm) {
  std::vector<std::string> expected;
  for (const int r : AllRanks(comm)) expected.push_back(ModelText(r));
  const std::string own = ModelText(comm.rank().value);
  TRESTLE_ASSIGN_OR_RETURN(const auto all, comm.AllGather({Stream::kControl, "names"}, own));
  EXPECT_EQ(all, expected);
  for (const int root : AllRanks(comm)) {
    TRESTLE_ASSIGN_OR_RETURN(const auto texts,
                             comm.Gather({Stream::kControl, "names"}, own, Rank{root}));
    if (comm.rank() == Rank{root}) {
      EXPECT_EQ(texts, expected);
    } else {
      EXPECT_TRUE(texts.empty());
    }
  }
  return {};
}

Status AllGatherValueIsIndexedByRank(Communicator& comm) {
  struct Pair {
    int rank;
    double twice;
  };
  const int self = comm.rank().value;
  TRESTLE_ASSIGN_OR_RETURN(const auto all,
                           AllGatherValue(comm, Operation{}, Pair{self, 2.0 * self}));
  EXPECT_EQ(all.size(), size_t(comm.size()));
  for (size_t r = 0; r < all.size(); ++r) {
    EXPECT_EQ(all[r].rank, int(r));
    EXPECT_EQ(all[r].twice, 2.0 * double(r));
  }
  return comm.Barrier({});
}

// Each stream has a thread of its own on every rank, with another mix and number of operations.
Status StreamsDoNotDisturbEachOther(Communicator& comm) {
  std::vector<Status> statuses(kStreamCount);
  std::vector<std::thread> threads;
  for (int s = 0; s < kStreamCount; ++s) {
    threads.emplace_back([&comm, &statuses, s] {
      const auto run = [&]() -> Status {
        const Stream stream = static_cast<Stream>(s);
        for (int round = 0; round < 10 + 5 * s; ++round) {
          TRESTLE_RETURN_IF_ERROR(AllToAllRound(comm, stream, kSeed + uint64_t(s), round));
          if ((round + s) % 3 == 0) TRESTLE_RETURN_IF_ERROR(comm.Barrier({stream, "test", round}));
          if ((round + s) % 4 != 0) continue;
          const size_t count = 1'000 * size_t(s + 1);
          TRESTLE_RETURN_IF_ERROR(AllReduceOf(comm, stream, count, AllRanks(comm)));
        }
        return {};
      };
      statuses[size_t(s)] = run();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : statuses) TRESTLE_RETURN_IF_ERROR(status);
  return {};
}

// Every subset of the ranks 0 to 2 fails, each with a code of its own.
Status AgreementIsTheFailureOfTheLowestRank(Communicator& comm) {
  const int self = comm.rank().value;
  for (int failing = 0; failing < 8; ++failing) {
    const auto fails = [&](int r) { return r < 3 && (failing >> r & 1) != 0; };
    int lowest = 0;
    while (lowest < comm.size() && !fails(lowest)) ++lowest;
    const Status local =
        fails(self) ? Status(static_cast<StatusCode>(self + 3), "a cause").Wrap("outer") : Ok();
    const Status agreed = AgreeOnStatus(comm, {Stream::kControl, "agree", failing}, local);
    if (lowest == comm.size()) {
      EXPECT_TRUE(agreed.ok()) << agreed.ToString();
      continue;
    }
    const std::string wrap = self == lowest ? "" : "rank " + std::to_string(lowest) + ": ";
    EXPECT_EQ(agreed.ToString(), wrap + "outer: a cause");
    EXPECT_EQ(agreed.code(), static_cast<StatusCode>(lowest + 3));
    EXPECT_EQ(agreed.root_message(), "a cause");
  }
  return {};
}

Status GpuBuffersAreRefused(Communicator& comm) {
  const size_t n = size_t(comm.size());
  const std::vector<ConstBuffer> send(n, ConstBuffer{nullptr, 8, Device::kCuda});
  const std::vector<MutableBuffer> recv(n, MutableBuffer{nullptr, 8, Device::kCuda});
  for (const Status& status :
       {comm.AllToAll({}, send, recv), comm.Broadcast({}, recv[0], Rank{0})}) {
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_THAT(status.ToString(), HasSubstr("GPU memory"));
  }
  return {};
}

}  // namespace

const std::vector<ContractCase>& ContractCases() {
  static const std::vector<ContractCase> cases = {
      {"AllToAllMovesRandomPatterns", AllToAllMovesRandomPatterns},
      {"AllReduceSumsModulo64Bits", AllReduceSumsModulo64Bits},
      {"BroadcastReachesAllFromAnyRoot", BroadcastReachesAllFromAnyRoot},
      {"GatherBringsTextsByRank", GatherBringsTextsByRank},
      {"AllGatherValueIsIndexedByRank", AllGatherValueIsIndexedByRank},
      {"StreamsDoNotDisturbEachOther", StreamsDoNotDisturbEachOther},
      {"AgreementIsTheFailureOfTheLowestRank", AgreementIsTheFailureOfTheLowestRank},
      {"GpuBuffersAreRefused", GpuBuffersAreRefused},
  };
  return cases;
}

Status MembersContract(Communicator& comm) {
  std::vector<Rank> members;
  std::vector<int> member_values;
  for (int r = 0; r < comm.size(); r += 2) {
    members.push_back(Rank{r});
    member_values.push_back(r);
  }
  const int last = member_values.back();
  const int self = comm.rank().value;
  TRESTLE_RETURN_IF_ERROR(comm.SetMembers(Stream::kDense, members));
  if (self % 2 != 0) return comm.Barrier({});  // not a member: other streams go on

  for (const size_t count : {5u, 30'000u}) {
    TRESTLE_RETURN_IF_ERROR(AllReduceOf(comm, Stream::kDense, count, member_values));
  }
  const Operation op{Stream::kDense, "members", 3};
  TRESTLE_ASSIGN_OR_RETURN(const auto values, AllGatherValue(comm, op, self + 1));
  TRESTLE_ASSIGN_OR_RETURN(const auto texts, comm.AllGather(op, std::to_string(self)));
  TRESTLE_ASSIGN_OR_RETURN(const auto at_last, comm.Gather(op, std::to_string(self), Rank{last}));
  for (int r = 0; r < comm.size(); ++r) {
    const bool member = r % 2 == 0;
    EXPECT_EQ(values[size_t(r)], member ? r + 1 : 0);
    EXPECT_EQ(texts[size_t(r)], member ? std::to_string(r) : "");
  }
  EXPECT_EQ(at_last, self == last ? texts : std::vector<std::string>());
  std::vector<int> data(20'000, self);
  TRESTLE_RETURN_IF_ERROR(comm.Broadcast(op, {data.data(), data.size() * sizeof(int)}, Rank{last}));
  EXPECT_EQ(data, std::vector<int>(20'000, last));
  const Status local = self == last ? Status(StatusCode::kNumeric, "NaN") : Ok();
  EXPECT_EQ(AgreeOnStatus(comm, op, local).ToString(),
            self == last ? "NaN" : "rank " + std::to_string(last) + ": NaN");
  return comm.Barrier({});
}

}  // namespace trestle
