// A failure anywhere ends every rank with its cause, and no rank waits for another for ever.
#include <gtest/gtest.h>

#include "tests/ps/job.h"

namespace trestle::testing {
namespace {

const std::vector<JobShape> kFailureShapes = {{1, 0, 1}, {3, 0, 1}, {4, 1, 1}, {4, 2, 1}};

// A table that refuses the n-th Pull or Push.
class FailingTable final : public EmbeddingTable {
 public:
  FailingTable(std::unique_ptr<EmbeddingTable> table, int fail_pull, int fail_push)
      : table_(std::move(table)), pulls_left_(fail_pull), pushes_left_(fail_push) {}

  const TableSpec& spec() const override { return table_->spec(); }
  int64_t rows() const override { return table_->rows(); }
  int64_t bytes() const override { return table_->bytes(); }
  int state_width() const override { return table_->state_width(); }
  Result<int64_t> Pull(std::span<const Key> keys, Missing missing, std::span<float> weights,
                       std::span<RowHandle> handles) override {
    if (--pulls_left_ == 0) return Full();
    return table_->Pull(keys, missing, weights, handles);
  }
  Status Push(std::span<const RowHandle> handles, std::span<const float> gradients,
              std::span<const KeyCounts> counts, int64_t step, float lr_factor) override {
    if (--pushes_left_ == 0) return Full();
    return table_->Push(handles, gradients, counts, step, lr_factor);
  }
  Status ForEachRow(uint32_t begin, uint32_t end,
                    const std::function<Status(const RowView&)>& visit) const override {
    return table_->ForEachRow(begin, end, visit);
  }
  Result<std::unique_ptr<TableSnapshot>> Snapshot(std::shared_ptr<SnapshotMemory> memory) override {
    return table_->Snapshot(std::move(memory));
  }
  Status Insert(std::span<const RowView> rows) override { return table_->Insert(rows); }
  uint64_t Digest() const override { return table_->Digest(); }

 private:
  static Status Full() { return {StatusCode::kOutOfMemory, "table item is full"}; }
  std::unique_ptr<EmbeddingTable> table_;
  int pulls_left_, pushes_left_;
};

// The tables of `rank` fail at the given calls.
FactoryFor FailAt(int rank, int fail_pull, int fail_push) {
  return [=](int r) -> TableFactory {
    if (r != rank) return MakeCpuTable;
    return [=](TableSpec spec, ThreadPool* pool) -> Result<std::unique_ptr<EmbeddingTable>> {
      TRESTLE_ASSIGN_OR_RETURN(auto table, MakeCpuTable(std::move(spec), pool));
      return std::unique_ptr<EmbeddingTable>(
          std::make_unique<FailingTable>(std::move(table), fail_pull, fail_push));
    };
  };
}

void ExpectAll(const JobResult& result, StatusCode code, const std::string& cause,
               const std::string& where, int origin) {
  for (size_t r = 0; r < result.statuses.size(); ++r) {
    const Status& status = result.statuses[r];
    SCOPED_TRACE("rank " + std::to_string(r) + ": " + status.ToString());
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.root_message(), cause);
    EXPECT_NE(status.ToString().find(where), std::string::npos);
    EXPECT_EQ(status.from_peer(), static_cast<int>(r) != origin);
    if (static_cast<int>(r) == origin) continue;
    EXPECT_NE(status.ToString().find("rank " + std::to_string(origin)), std::string::npos);
  }
}

HooksFor DefaultHooks() {
  return [](int) { return Worker::Hooks{}; };
}

TEST(ExchangeFailure, ATableThatFailsInPullEndsEveryRankInThatStep) {
  for (const JobShape& shape : kFailureShapes) {
    for (int pull = 1; pull <= 6; pull += 2) {  // 5 and 6 are in evaluation
      SCOPED_TRACE(std::to_string(shape.ranks) + " ranks, pull " + std::to_string(pull));
      const JobResult result = RunJob(SmallPlan(7), shape, DefaultHooks(), FailAt(0, pull, 0));
      ExpectAll(result, StatusCode::kOutOfMemory, "table item is full",
                "step " + std::to_string(pull > 4 ? pull - 4 : pull) + ", pull", 0);
    }
  }
}

TEST(ExchangeFailure, ATableThatFailsInPushEndsEveryRankInThatStep) {
  for (const JobShape& shape : kFailureShapes) {
    for (const int push : {1, 4}) {  // 4 is the last
      SCOPED_TRACE(std::to_string(shape.ranks) + " ranks, push " + std::to_string(push));
      const JobResult result = RunJob(SmallPlan(8), shape, DefaultHooks(), FailAt(0, 0, push));
      ExpectAll(result, StatusCode::kOutOfMemory, "table item is full",
                "step " + std::to_string(push) + ", push", 0);
    }
  }
}

TEST(ExchangeFailure, AReadersFailureReachesWorkersAndServersWithTheNextHeader) {
  for (const JobShape& shape : kFailureShapes) {
    const int origin = shape.ranks - 1;
    const HooksFor hooks = [origin](int rank) {
      Worker::Hooks h;
      if (rank != origin) return h;
      h.keys = [](Action action, int64_t step) {
        return action == Action::kTrain && step == 3
                   ? Status(StatusCode::kInvalidData, "a.parquet: row 7: label is 2")
                   : Status();
      };
      return h;
    };
    const JobResult result = RunJob(SmallPlan(9), shape, hooks);
    ExpectAll(result, StatusCode::kInvalidData, "a.parquet: row 7: label is 2", "", origin);
    EXPECT_EQ(result.outcome.applied.size(), 2u);  // the steps before it were finished
  }
}

TEST(ExchangeFailure, AFailureWhileComputingEndsEveryRankInPush) {
  for (const JobShape& shape : kFailureShapes) {
    const int origin = shape.ranks - 1;
    const HooksFor hooks = [origin](int rank) {
      Worker::Hooks h;
      if (rank != origin) return h;
      h.compute = [](int64_t step) {
        return step == 2 ? Status(StatusCode::kIoError, "disk is full") : Status();
      };
      return h;
    };
    ExpectAll(RunJob(SmallPlan(10), shape, hooks), StatusCode::kIoError, "disk is full", "",
              origin);
  }
}

TEST(ExchangeFailure, WorkersAtDifferentStepsAreToldWhoIsWhere) {
  for (const JobShape& shape : {JobShape{3, 0, 1}, JobShape{4, 1, 1}, JobShape{4, 2, 1}}) {
    const int odd = shape.ranks - 1;
    const HooksFor hooks = [odd](int rank) {
      Worker::Hooks h;
      if (rank != odd) return h;
      h.header = [](StepHeader* header) {
        if (header->action == Action::kTrain && header->step == 2) header->step = 5;
      };
      return h;
    };
    const JobResult result = RunJob(SmallPlan(11), shape, hooks);
    for (const Status& status : result.statuses) {
      EXPECT_EQ(status.code(), StatusCode::kMismatch);
      const std::string text = status.ToString();
      EXPECT_NE(text.find("at training step 2"), std::string::npos) << text;
      EXPECT_NE(text.find("rank " + std::to_string(odd) + " at training step 5"), std::string::npos)
          << text;
    }
  }
}

TEST(ExchangeFailure, OneWorkerThatEndsItsPassEarlierIsAMismatch) {
  const HooksFor hooks = [](int rank) {
    Worker::Hooks h;
    if (rank != 0) return h;
    h.header = [](StepHeader* header) {
      if (header->action == Action::kTrain && header->step == 4) header->action = Action::kEndPass;
    };
    return h;
  };
  const JobResult result = RunJob(SmallPlan(12), {2, 0, 1}, hooks);
  for (const Status& status : result.statuses) {
    EXPECT_EQ(status.code(), StatusCode::kMismatch);
    EXPECT_NE(status.ToString().find("the end of the pass"), std::string::npos);
  }
}

TEST(ExchangeFailure, AfterAFailedPrepareAnotherReturnsTheSameWithoutTheOthers) {
  const auto roles = AssignRoles(0, {"host", "host"});
  const Status ran = RunThreadRanks(
      2,
      [&](Communicator& comm) -> Status {
        ThreadPool pool(1);
        TRESTLE_ASSIGN_OR_RETURN(auto node,
                                 MakeNode(comm, {*roles, {Spec("t", 4, false)}, {0}, {}}, &pool));
        const Status local =
            comm.rank().value == 1 ? Status(StatusCode::kIoError, "gone") : Status();
        auto first = node->client().Prepare({}, {LaneKeys(1)}, local);
        EXPECT_EQ(first.status().root_message(), "gone");
        if (comm.rank().value == 0) {
          auto second = node->client().Prepare({}, {LaneKeys(1)}, Status());
          EXPECT_EQ(second.status().ToString(), first.status().ToString());
        }
        return {};
      },
      {std::chrono::seconds(20)});
  EXPECT_TRUE(ran.ok()) << ran.ToString();
}

// Else a worker that stops would leave the keys threads of the others inside the next Prepare.
TEST(ExchangeFailure, AfterAFailedPushTheNextPrepareFailsOnEveryRankWithTheSameCause) {
  const auto roles = AssignRoles(1, {"host", "host", "host"});
  const Status ran = RunThreadRanks(
      3,
      [&](Communicator& comm) -> Status {
        ThreadPool pool(1);
        TRESTLE_ASSIGN_OR_RETURN(auto node,
                                 MakeNode(comm, {*roles, {Spec("t", 4, false)}, {0}, {}}, &pool));
        if (!node->is_worker()) {
          EXPECT_EQ(node->Serve().root_message(), "disk is full");
          return {};
        }
        Client& client = node->client();
        const StepHeader header{Action::kTrain, 1, 1, 0, false};
        const LaneKeys lane = {{{Key{1}}, {0, 1}}};
        TRESTLE_ASSIGN_OR_RETURN(auto lookup, client.Prepare(header, {lane}, Status()));
        TRESTLE_RETURN_IF_ERROR(client.Pull(*lookup));
        const Status local =
            comm.rank().value == 2 ? Status(StatusCode::kIoError, "disk is full") : Status();
        EXPECT_EQ(client.Push(*lookup, false, local).status().root_message(), "disk is full");
        EXPECT_EQ(client.Prepare(header, {lane}, Status()).status().root_message(), "disk is full");
        return {};
      },
      {std::chrono::seconds(20)});
  EXPECT_TRUE(ran.ok()) << ran.ToString();
}

// Notes how long a rank would wait for others at each message of keys.
class LimitNoter final : public Communicator {
 public:
  explicit LimitNoter(Communicator& comm) : comm_(comm) {}
  Rank rank() const override { return comm_.rank(); }
  int size() const override { return comm_.size(); }
  std::string host() const override { return comm_.host(); }
  Traffic traffic(Stream stream) const override { return comm_.traffic(stream); }
  Status SetMembers(Stream stream, std::vector<Rank> members) override {
    return comm_.SetMembers(stream, std::move(members));
  }
  Status AllToAll(Operation op, std::span<const ConstBuffer> send,
                  std::span<const MutableBuffer> recv) override {
    if (op.stream == Stream::kKeys) limits.push_back(op.limit);
    return comm_.AllToAll(op, send, recv);
  }
  Status AllReduceSum(Operation op, std::span<int64_t> values) override {
    return comm_.AllReduceSum(op, values);
  }
  Status Broadcast(Operation op, MutableBuffer bytes, Rank root) override {
    return comm_.Broadcast(op, bytes, root);
  }
  Result<std::vector<std::string>> AllGather(Operation op, const std::string& text) override {
    return comm_.AllGather(op, text);
  }
  Result<std::vector<std::string>> Gather(Operation op, const std::string& text,
                                          Rank root) override {
    return comm_.Gather(op, text, root);
  }
  Status Barrier(Operation op) override { return comm_.Barrier(op); }
  void Abort(int exit_code, const std::string& reason) override { comm_.Abort(exit_code, reason); }

  std::vector<std::chrono::milliseconds> limits;

 private:
  Communicator& comm_;
};

// Between two passes workers sort metrics, which takes as long as it takes.
TEST(ExchangeFailure, ADedicatedServerWaitsLongForTheFirstHeaderOfAPassAlone) {
  const auto roles = AssignRoles(1, {"host", "host"});
  const Status ran = RunThreadRanks(
      2,
      [&](Communicator& comm) -> Status {
        ThreadPool pool(1);
        LimitNoter noter(comm);
        TRESTLE_ASSIGN_OR_RETURN(auto node,
                                 MakeNode(noter, {*roles, {Spec("t", 4, false)}, {0}, {}}, &pool));
        constexpr std::chrono::milliseconds kShort{0}, kLong{kLongPhase};
        if (!node->is_worker()) {
          TRESTLE_RETURN_IF_ERROR(node->Serve());
          EXPECT_EQ(noter.limits, (std::vector{kShort, kLong, kShort, kLong}));
          return {};
        }
        for (const Action action :
             {Action::kEndPass, Action::kCheckpoint, Action::kEndPass, Action::kStop}) {
          const StepHeader header{action, 1, 0, 0, false};
          TRESTLE_RETURN_IF_ERROR(node->client().Prepare(header, {}, Status()).status());
        }
        EXPECT_EQ(noter.limits, std::vector(4, kShort));
        return {};
      },
      {std::chrono::seconds(20)});
  EXPECT_TRUE(ran.ok()) << ran.ToString();
}

}  // namespace
}  // namespace trestle::testing
