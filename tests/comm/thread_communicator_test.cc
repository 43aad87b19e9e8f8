#include "comm/thread_communicator.h"

#include <gmock/gmock.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/comm/communicator_contract.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

constexpr CommunicatorOptions kShortDeadline{std::chrono::milliseconds(200)};
const Operation kPull{Stream::kRows, "pull", 17};

// What each rank's body returned: RunThreadRanks itself reports only the worst.
class Statuses {
 public:
  explicit Statuses(int size) : statuses_(static_cast<size_t>(size)) {}
  Status Record(const Communicator& comm, Status status) {
    std::lock_guard lock(mutex_);
    return statuses_[static_cast<size_t>(comm.rank().value)] = std::move(status);
  }
  const Status& operator[](size_t rank) const { return statuses_[rank]; }

 private:
  std::mutex mutex_;
  std::vector<Status> statuses_;
};

class ThreadContract : public ::testing::TestWithParam<std::tuple<ContractCase, int>> {};

TEST_P(ThreadContract, Holds) {
  const auto& [contract, size] = GetParam();
  const Status status = RunThreadRanks(size, contract.body);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

INSTANTIATE_TEST_SUITE_P(Ranks, ThreadContract,
                         ::testing::Combine(::testing::ValuesIn(ContractCases()),
                                            ::testing::Values(1, 2, 3, 8)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) +
                                  std::to_string(std::get<1>(test.param));
                         });

class ThreadMembers : public ::testing::TestWithParam<int> {};

TEST_P(ThreadMembers, LimitAStream) {
  const Status status = RunThreadRanks(GetParam(), MembersContract);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

INSTANTIATE_TEST_SUITE_P(Ranks, ThreadMembers, ::testing::Values(1, 2, 3, 6, 8));

TEST(ThreadCommunicator, NoRankLeavesABarrierBeforeTheLastHasCome) {
  constexpr int kRanks = 4;
  std::atomic<int> come{0};
  const Status status = RunThreadRanks(kRanks, [&](Communicator& comm) -> Status {
    for (int round = 1; round <= 50; ++round) {
      come.fetch_add(1);
      TRESTLE_RETURN_IF_ERROR(comm.Barrier({Stream::kControl, "round", round}));
      EXPECT_GE(come.load(), round * kRanks);
    }
    return {};
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
}

// More exchanges than a mailbox holds, all of them to a rank that receives only later.
TEST(ThreadCommunicator, AFastSenderWaitsForItsReceiver) {
  constexpr int kMessages = 100;
  const Status status = RunThreadRanks(2, [](Communicator& comm) -> Status {
    const bool sender = comm.rank() == Rank{0};
    for (int i = 0; i < kMessages; ++i) {
      int value = sender ? i : -1;
      std::vector<ConstBuffer> out(2);
      std::vector<MutableBuffer> in(2);
      if (sender) {
        out[1] = {&value, sizeof(value)};
      } else {
        in[0] = {&value, sizeof(value)};
      }
      TRESTLE_RETURN_IF_ERROR(comm.AllToAll(kPull, out, in));
      EXPECT_EQ(value, i);
    }
    return {};
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST(ThreadCommunicator, APassedDeadlineNamesRankStepPhaseStreamAndWhoIsMissing) {
  Statuses statuses(4);
  const Status worst = RunThreadRanks(
      4,
      [&](Communicator& comm) {
        if (comm.rank().value == 2 || comm.rank().value == 1) return Ok();  // they do not come
        return statuses.Record(comm, comm.Barrier(kPull));
      },
      kShortDeadline);
  EXPECT_EQ(worst.code(), StatusCode::kDeadlineExceeded);
  // Whichever of the two gives up first ends the job for the other.
  const Status& first =
      statuses[0].code() == StatusCode::kDeadlineExceeded ? statuses[0] : statuses[3];
  const std::string rank = &first == &statuses[0] ? "rank 0" : "rank 3";
  EXPECT_EQ(first.ToString(), rank + ", step 17, pull on rows: waited 0.2 s for ranks 1 and 2");
}

TEST(ThreadCommunicator, AnOperationsOwnLimitReplacesTheDeadline) {
  constexpr Operation kShortWait{Stream::kControl, "saving", -1, std::chrono::milliseconds(100)};
  const auto never = MakeThreadCommunicators(2, {std::chrono::hours(1)});
  EXPECT_EQ(never[0]->Barrier(kShortWait).ToString(),
            "rank 0, saving on control: waited 0.1 s for rank 1");

  // Rank 1 comes once another wait has passed four times the deadline.
  constexpr Operation kLongWait{Stream::kControl, "saving", -1, kLongPhase};
  constexpr Operation kFourDeadlines{Stream::kControl, "late", -1, std::chrono::milliseconds(200)};
  const auto other = MakeThreadCommunicators(2);
  const Status status = RunThreadRanks(2,
                                       [&](Communicator& comm) {
                                         if (comm.rank() == Rank{1}) {
                                           EXPECT_EQ(other[0]->Barrier(kFourDeadlines).code(),
                                                     StatusCode::kDeadlineExceeded);
                                         }
                                         return comm.Barrier(kLongWait);
                                       },
                                       {std::chrono::milliseconds(50)});
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST(ThreadCommunicator, NothingIsSentAfterAFailure) {
  const auto ranks = MakeThreadCommunicators(2, kShortDeadline);
  EXPECT_EQ(ranks[0]->Barrier(kPull).code(), StatusCode::kDeadlineExceeded);
  const Status later = ranks[0]->Barrier({Stream::kDense, "dense", 18});
  EXPECT_EQ(later.code(), StatusCode::kPeerFailed);
  EXPECT_EQ(
      later.ToString(),
      "rank 0, step 18, dense on dense: no more communication after: rank 0, step 17, pull on "
      "rows: waited 0.2 s for rank 1");
}

// The other stream's deadline is an hour away.
TEST(ThreadCommunicator, AFailureEndsWhatTheRankHasUnderWayOnOtherStreams) {
  const auto ranks = MakeThreadCommunicators(2, {std::chrono::hours(1)});
  Status keys;
  std::thread waiting([&] { keys = ranks[0]->Barrier({Stream::kKeys, "keys", 18}); });
  const Status pull =
      ranks[0]->Barrier({Stream::kRows, "pull", 17, std::chrono::milliseconds(200)});
  waiting.join();
  EXPECT_EQ(pull.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(keys.code(), StatusCode::kPeerFailed);
  EXPECT_THAT(keys.ToString(), HasSubstr("rank 0, step 17, pull on rows: waited 0.2 s for rank 1"));
}

TEST(ThreadCommunicator, DisagreementOnASizeIsNamed) {
  Statuses statuses(2);
  const Status worst = RunThreadRanks(2, [&](Communicator& comm) {
    std::vector<std::byte> bytes(comm.rank() == Rank{0} ? 8 : 12);
    return statuses.Record(comm, comm.Broadcast(kPull, {bytes.data(), bytes.size()}, Rank{0}));
  });
  EXPECT_EQ(statuses[1].ToString(),
            "rank 1, step 17, pull on rows: rank 0 sent 8 bytes where 12 were expected");
  EXPECT_EQ(worst.ToString(), "rank 1: " + statuses[1].ToString());
}

TEST(ThreadCommunicator, AbortEndsPendingAndLaterOperationsOfAllRanks) {
  Statuses pending(3), later(3);
  const Status worst = RunThreadRanks(3, [&](Communicator& comm) {
    if (comm.rank() == Rank{1}) comm.Abort(3, "the disk is full");
    static_cast<void>(pending.Record(comm, comm.Barrier(kPull)));
    return later.Record(comm, comm.Barrier({Stream::kControl, "end"}));
  });
  for (size_t r = 0; r < 3; ++r) {
    EXPECT_EQ(pending[r].code(), StatusCode::kPeerFailed);
    EXPECT_THAT(pending[r].ToString(), HasSubstr("rank 1 ended the job: the disk is full"));
    EXPECT_EQ(later[r].code(), StatusCode::kPeerFailed);
  }
  EXPECT_EQ(worst.code(), StatusCode::kPeerFailed);
}

TEST(RunThreadRanks, ReturnsTheOriginalFailureNotItsConsequence) {
  Statuses statuses(4);
  const Status worst = RunThreadRanks(4, [&](Communicator& comm) {
    if (comm.rank() == Rank{2}) return Status(StatusCode::kNumeric, "the loss is NaN");
    return statuses.Record(comm, comm.Barrier(kPull));
  });
  EXPECT_EQ(worst.code(), StatusCode::kNumeric);
  EXPECT_EQ(worst.ToString(), "rank 2: the loss is NaN");
  for (const size_t r : {0u, 1u, 3u}) EXPECT_EQ(statuses[r].code(), StatusCode::kPeerFailed);
}

TEST(RunThreadRanks, AnAgreedFailureIsReturnedAsRankZeroSawIt) {
  const Status worst = RunThreadRanks(3, [](Communicator& comm) {
    const bool fails = comm.rank() == Rank{1};
    return AgreeOnStatus(comm, {}, fails ? Status(StatusCode::kInvalidData, "bad row") : Ok());
  });
  EXPECT_EQ(worst.ToString(), "rank 1: bad row");
  EXPECT_EQ(worst.code(), StatusCode::kInvalidData);
}

TEST(RunThreadRanks, AFailureThatIsItselfAPeersStands) {
  const Status worst = RunThreadRanks(3, [](Communicator& comm) {
    if (comm.rank() == Rank{2}) return Status(StatusCode::kPeerFailed, "the network is down");
    return comm.Barrier(kPull);
  });
  EXPECT_EQ(worst.ToString(), "rank 2: the network is down");
}

TEST(BreaksTheJob, WhereAPeerIsGoneOrLate) {
  EXPECT_TRUE(BreaksTheJob({StatusCode::kPeerFailed, "gone"}));
  EXPECT_TRUE(BreaksTheJob({StatusCode::kDeadlineExceeded, "late"}));
  EXPECT_FALSE(BreaksTheJob({StatusCode::kIoError, "disk full"}));
  EXPECT_FALSE(BreaksTheJob({}));
}

}  // namespace
}  // namespace trestle
