// Whole steps: the same bits as a plain model for any number of ranks, servers and threads.
#include <gtest/gtest.h>

#include "tests/ps/job.h"
#include "tests/ps/plain_model.h"

namespace trestle::testing {
namespace {

const std::vector<JobShape> kShapes = {{1, 0, 1}, {1, 0, 2}, {2, 0, 1}, {3, 0, 2},
                                       {4, 0, 1}, {8, 0, 1}, {2, 1, 1}, {4, 1, 2},
                                       {4, 2, 1}, {8, 2, 1}, {3, 2, 1}};

std::string Name(const JobShape& shape) {
  return std::to_string(shape.ranks) + " ranks, " + std::to_string(shape.servers) + " servers, " +
         std::to_string(shape.threads) + " threads";
}

void ExpectAllOk(const JobResult& result) {
  for (const Status& status : result.statuses) EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST(Exchange, AnyShapeOfJobEqualsThePlainModelBitForBit) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const Plan plan = SmallPlan(seed);
    const Outcome expected = PlainModel(plan).Run();
    EXPECT_EQ(expected.rows[2], 0);
    EXPECT_GT(expected.unseen_occurrences, 0);
    for (const JobShape& shape : kShapes) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", " + Name(shape));
      const JobResult result = RunJob(plan, shape);
      ExpectAllOk(result);
      EXPECT_EQ(result.outcome.digests, expected.digests);
      EXPECT_EQ(result.outcome.rows, expected.rows);
      EXPECT_EQ(result.outcome.unseen_occurrences, expected.unseen_occurrences);
      EXPECT_EQ(result.outcome.applied, expected.applied);
      EXPECT_TRUE(result.outcome.gathered == expected.gathered);
    }
  }
}

TEST(Exchange, EvaluationCreatesNoRows) {
  Plan plan = SmallPlan(5);
  plan.steps = 0;
  for (const JobShape& shape : {JobShape{1, 0, 1}, JobShape{3, 0, 1}, JobShape{3, 1, 1}}) {
    SCOPED_TRACE(Name(shape));
    const JobResult result = RunJob(plan, shape);
    ExpectAllOk(result);
    EXPECT_EQ(result.outcome.rows, (std::vector<int64_t>{0, 0, 0}));
    int64_t occurrences = 0;
    for (int64_t step = 1; step <= plan.evaluations; ++step) {
      for (int lane = 0; lane < plan.lanes; ++lane) {
        for (const auto& slot : MakeLane(plan, Action::kEvaluate, step, lane)) {
          occurrences += static_cast<int64_t>(slot.keys.size());
        }
      }
    }
    EXPECT_EQ(result.outcome.unseen_occurrences, occurrences);
  }
}

TEST(Exchange, ABadStepChangesNoTableOnAnyRankAndTheNextOneGoesOn) {
  Plan plan = SmallPlan(6);
  plan.bad_step = 2;
  // The lane that turns bad must have rows for this to be a test.
  while (LaneRowCount(MakeLane(plan, Action::kTrain, 2, plan.lanes - 2)) == 0) ++plan.seed;
  const Outcome expected = PlainModel(plan).Run();
  EXPECT_EQ(expected.applied, (std::vector<bool>{true, false, true, true}));
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    const JobResult result = RunJob(plan, shape);
    ExpectAllOk(result);
    EXPECT_EQ(result.outcome, expected);
  }
}

TEST(Exchange, HeadersAreSummedOverTheWorkers) {
  const auto roles = AssignRoles(1, std::vector<std::string>(3, "host"));
  const Status status = RunThreadRanks(3, [&](Communicator& comm) -> Status {
    ThreadPool pool(1);
    TRESTLE_ASSIGN_OR_RETURN(auto node,
                             MakeNode(comm, {*roles, {Spec("t", 4, false)}, {0}, {}}, &pool));
    if (!node->is_worker()) return node->Serve();
    const int rank = comm.rank().value;
    StepHeader header{Action::kEndPass, 9, 10 * rank, rank, rank == 2};
    header.lr_factor = 0.5f * static_cast<float>(rank);
    TRESTLE_ASSIGN_OR_RETURN(auto lookup, node->client().Prepare(header, {}, Status()));
    EXPECT_EQ(lookup->header().action, Action::kEndPass);
    EXPECT_EQ(lookup->header().step, 9);
    EXPECT_EQ(lookup->header().rows, 30);
    EXPECT_EQ(lookup->header().rejected, 3);
    EXPECT_TRUE(lookup->header().stop_requested);
    EXPECT_EQ(lookup->header().lr_factor, 0.5f) << "that of the first worker, rank 1";
    header.action = Action::kStop;
    header.stop_requested = false;
    TRESTLE_ASSIGN_OR_RETURN(auto stop, node->client().Prepare(header, {}, Status()));
    EXPECT_FALSE(stop->header().stop_requested);
    return {};
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
}

}  // namespace
}  // namespace trestle::testing
