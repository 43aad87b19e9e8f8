// Whole training jobs in one process: the same bits in every shape, and every failure known to
// every rank, dedicated servers included, with nobody left waiting.
#include "worker/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/fault_filesystem.h"
#include "tests/worker/trainer_fixture.h"

namespace trestle {
namespace {

using testing::HasSubstr;
using Spoil = SpoiledBackend::Spoil;

const std::vector<JobShape> kShapes = {{1, 0, 1}, {2, 0, 1}, {3, 0, 2},
                                       {2, 1, 1}, {3, 1, 1}, {4, 2, 1}};

// All ranks end with the failure, one of them as its own, and none waited for another.
void ExpectAllFail(const TrainingJob::Outcome& outcome, StatusCode code, const std::string& what) {
  int origins = 0;
  for (size_t r = 0; r < outcome.ranks.size(); ++r) {
    const auto& [status, whole] = outcome.ranks[r];
    SCOPED_TRACE("rank " + std::to_string(r) + ": " + status.ToString());
    EXPECT_EQ(status.code(), code);
    EXPECT_THAT(status.ToString(), HasSubstr(what));
    EXPECT_TRUE(whole) << "a wait passed its deadline";
    origins += !status.from_peer();
  }
  EXPECT_EQ(origins, 1) << "ranks that would print it";
}

void ExpectAllOk(const TrainingJob::Outcome& outcome) {
  for (const auto& [status, whole] : outcome.ranks) {
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(whole);
  }
}

void ExpectSame(const TrainingJob::Outcome& a, const TrainingJob::Outcome& b) {
  EXPECT_EQ(a.dense, b.dense);
  EXPECT_EQ(a.tables, b.tables);
  EXPECT_EQ(a.table_rows, b.table_rows);
  ASSERT_EQ(a.passes.size(), b.passes.size());
  for (size_t i = 0; i < a.passes.size(); ++i) {
    EXPECT_EQ(a.passes[i].loss, b.passes[i].loss);
    EXPECT_EQ(a.passes[i].rows, b.passes[i].rows);
    EXPECT_EQ(a.passes[i].positives, b.passes[i].positives);
    EXPECT_EQ(a.passes[i].skipped_steps, b.passes[i].skipped_steps);
    EXPECT_EQ(a.passes[i].ledger.hash, b.passes[i].ledger.hash);
  }
  ASSERT_EQ(a.evaluations.size(), b.evaluations.size());
  for (size_t i = 0; i < a.evaluations.size(); ++i) {
    EXPECT_EQ(a.evaluations[i].metrics.auc, b.evaluations[i].metrics.auc);
    EXPECT_EQ(a.evaluations[i].metrics.gauc, b.evaluations[i].metrics.gauc);
    EXPECT_EQ(a.evaluations[i].metrics.log_loss, b.evaluations[i].metrics.log_loss);
    EXPECT_EQ(a.evaluations[i].pass.unseen_share(), b.evaluations[i].pass.unseen_share());
  }
}

TEST(Trainer, BitsDoNotDependOnTheShapeOfTheJob) {
  TrainingJob job;
  job.drive = TrainingJob::TrainTwice;
  const auto reference = job.Run({1, 0, 1});
  ExpectAllOk(reference);
  EXPECT_NE(reference.passes[0].loss, reference.passes[1].loss);
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    const auto outcome = job.Run(shape);
    ExpectAllOk(outcome);
    ExpectSame(outcome, reference);
  }
}

TEST(Trainer, ThePassIsCountedAndItsLedgerCloses) {
  TrainingJob job;
  uint64_t expected_hash = 0;
  job.drive = [&](Trainer& trainer, TrainingJob::RankState& state, TrainingJob::Outcome* outcome) {
    if (state.rank == 0) expected_hash = state.train.ExpectedHash();
    return TrainingJob::TrainTwice(trainer, state, outcome);
  };
  const auto outcome = job.Run({2, 0, 1});
  ASSERT_EQ(outcome.passes.size(), 2u);
  for (const PassResult& pass : outcome.passes) {
    EXPECT_EQ(pass.steps, TrainingJob::kSteps);
    EXPECT_EQ(pass.rows, TrainingJob::kRows);
    EXPECT_EQ(pass.positives, (TrainingJob::kRows + 2) / 3);
    EXPECT_EQ(pass.ledger.read, TrainingJob::kRows);
    EXPECT_EQ(pass.ledger.rejected, 0);
    EXPECT_EQ(pass.ledger.hash, expected_hash);
    EXPECT_FALSE(pass.stopped);
  }
  EXPECT_EQ(outcome.evaluations[1].pass.rows, 97);
  EXPECT_EQ(outcome.evaluations[1].metrics.rows, 97);
}

// The first step, one in the middle, and the last two: the keys threads have closed the pass by
// then, or are about to.
const std::vector<int64_t> kBadSteps = {1, 5, TrainingJob::kSteps - 1, TrainingJob::kSteps};

TEST(Trainer, ABadStepUnderStopEndsEveryRankAndNamesTheStep) {
  for (const Spoil spoil : {Spoil::kDense, Spoil::kEmbedding}) {
    for (const JobShape& shape : kShapes) {
      for (const int64_t bad : kBadSteps) {
        SCOPED_TRACE(Name(shape) + ", step " + std::to_string(bad));
        TrainingJob job;
        job.spoil = {spoil, [bad](int64_t step) { return step == bad; }, /*lane=*/3};
        job.drive = TrainingJob::TrainTwice;
        ExpectAllFail(job.Run(shape), StatusCode::kNumeric, "step " + std::to_string(bad) + ": ");
      }
    }
  }
}

TEST(Trainer, ABadStepNamesTheWeightsWhereRowsHaveThem) {
  for (const bool weighted : {false, true}) {
    TrainingJob job;
    if (weighted) job.schema.positive_weight = 2;
    job.spoil = {Spoil::kDense, [](int64_t step) { return step == 1; }, /*lane=*/3};
    job.drive = TrainingJob::TrainTwice;
    ExpectAllFail(job.Run({1, 0, 1}), StatusCode::kNumeric,
                  weighted ? "lower the learning rate or the weights (data.weight, "
                             "data.positive_weight), set"
                           : "lower the learning rate, set optimizer.dense.clip_norm");
  }
  TrainingJob job;
  job.spoil = {Spoil::kEmbedding, [](int64_t step) { return step == 1; }, /*lane=*/3};
  job.drive = TrainingJob::TrainTwice;
  ExpectAllFail(job.Run({1, 0, 1}), StatusCode::kNumeric,
                "(and data.weight and data.positive_weight where rows are weighted)");
}

// The rows of `times`, each so often, or each once with that as its weight; one step an epoch. The
// network takes no statistics of its rows, which a row that is there twice would change.
TrainingJob::Outcome TrainWeighted(const std::vector<int64_t>& times, bool by_weight) {
  std::vector<int64_t> user, item, label;
  std::vector<double> price, weight;
  std::vector<std::vector<int64_t>> history;
  for (size_t i = 0; i < times.size(); ++i) {
    for (int64_t n = by_weight ? 1 : times[i]; n > 0; --n) {
      const auto row = static_cast<int64_t>(i);
      user.push_back(row * 5 % 41);
      item.push_back(row * 7 % 53);
      label.push_back(row % 3 == 0);
      price.push_back(0.25 * static_cast<double>(row % 11));
      history.emplace_back(i % 5, row % 53);
      weight.push_back(by_weight ? static_cast<double>(times[i]) : 1);
    }
  }
  TrainingJob job;
  WriteParquet(job.train_file(),
               {{"user", Int64s(user)},
                {"item", Int64s(item)},
                {"hist", Int64Lists(history)},
                {"price", Doubles(price)},
                {"y", Int64s(label)},
                {"w", Doubles(weight)}},
               100);
  job.schema.weight = "w";
  job.model = R"(base { mlp { units: [8] activation: RELU } })";
  job.options = [](int, TrainerOptions* o) { o->batch_rows = 500; };
  job.drive = TrainingJob::TrainTwice;
  return job.Run({2, 0, 1});
}

// The loss is a mean over the rows that there are; Adam does not see by how many it is divided.
TEST(Trainer, AWeightOfTwoIsTheRowTwiceAndOneOfZeroIsNoRow) {
  std::vector<int64_t> times(90, 1);
  for (size_t i = 0; i < times.size(); i += 4) times[i] = 2;
  for (size_t i = 1; i < times.size(); i += 6) times[i] = 0;
  const auto weighted = TrainWeighted(times, true), repeated = TrainWeighted(times, false);
  const auto plain = TrainWeighted(std::vector<int64_t>(90, 1), true);
  ExpectAllOk(weighted);
  for (size_t epoch : {0, 1}) {
    const auto sum = [&](const TrainingJob::Outcome& outcome) {
      return outcome.passes[epoch].loss * static_cast<double>(outcome.passes[epoch].rows);
    };
    EXPECT_NEAR(sum(weighted), sum(repeated), 1e-4 * sum(repeated)) << epoch;
    EXPECT_GT(std::fabs(sum(plain) - sum(repeated)), 1e-2 * sum(repeated));
    EXPECT_NEAR(weighted.evaluations[epoch].metrics.log_loss,
                repeated.evaluations[epoch].metrics.log_loss, 1e-4);
  }
  EXPECT_GT(
      std::fabs(plain.evaluations[1].metrics.log_loss - repeated.evaluations[1].metrics.log_loss),
      1e-4);
}

TEST(Trainer, ACosineEndsWithTheLastStepOfTheRun) {
  const auto train = [](const std::string& cosine) {
    TrainingJob job;
    job.options = [&](int, TrainerOptions* o) { o->schedule = Parse<LrSchedule>(cosine); };
    job.drive = [](Trainer& trainer, TrainingJob::RankState& state, TrainingJob::Outcome* out) {
      EpochPauses pauses;
      pauses.last_step = 6;
      TRESTLE_ASSIGN_OR_RETURN(PassResult pass, trainer.TrainEpoch(state.train, 0, 5, {}, pauses));
      out->passes.push_back(pass);
      return Status();
    };
    return job.Run({1, 0, 1});
  };
  const auto ended = train("cosine {}");
  ExpectAllOk(ended);
  EXPECT_EQ(ended.passes[0].steps, 6);
  ExpectSame(ended, train("cosine { steps: 6 }"));
  EXPECT_NE(ended.dense, train("cosine { steps: 55 }").dense);
}

TEST(Trainer, ABadStepUnderSkipIsCountedAndTheNextOnesGoOn) {
  for (const Spoil spoil : {Spoil::kDense, Spoil::kEmbedding}) {
    TrainingJob job;
    job.on_bad_step = Train::SKIP;
    job.drive = TrainingJob::TrainTwice;
    const auto good = job.Run({1, 0, 1});
    job.spoil = {spoil, [](int64_t step) { return step == 4; }, 3};
    const auto reference = job.Run({1, 0, 1});
    EXPECT_EQ(reference.passes[0].skipped_steps, 1);
    EXPECT_EQ(reference.passes[0].rows, TrainingJob::kRows);
    EXPECT_TRUE(std::isfinite(reference.passes[0].loss));
    EXPECT_EQ(reference.passes[1].skipped_steps, 0);
    EXPECT_NE(reference.dense, good.dense);
    EXPECT_EQ(reference.table_rows, good.table_rows) << "its rows were still created";
    for (const JobShape& shape : kShapes) {
      SCOPED_TRACE(Name(shape));
      const auto outcome = job.Run(shape);
      ExpectAllOk(outcome);
      ExpectSame(outcome, reference);
    }
  }
}

TEST(Trainer, AStepThatIsSkippedChangesNothing) {
  for (const Spoil spoil : {Spoil::kDense, Spoil::kEmbedding}) {
    TrainingJob job;
    uint64_t before = 0;
    job.on_bad_step = Train::SKIP;
    job.spoil = {spoil, [](int64_t) { return true; }, 3};
    job.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                    TrainingJob::Outcome* outcome) -> Status {
      if (state.rank == 0) before = state.backend.Digest();
      TRESTLE_ASSIGN_OR_RETURN(PassResult pass, trainer.TrainEpoch(state.train, 0, 1));
      outcome->passes.push_back(pass);
      for (const EmbeddingTable* table : state.node.tables()) {
        TRESTLE_RETURN_IF_ERROR(table->ForEachRow(0, 65'536, [](const RowView& row) {
          return row.last_step == 0 ? Status() : Status(StatusCode::kInternal, "a row was pushed");
        }));
      }
      return {};
    };
    const auto outcome = job.Run({3, 0, 1});
    ExpectAllOk(outcome);
    EXPECT_EQ(outcome.dense, before);
    EXPECT_EQ(outcome.passes[0].skipped_steps, TrainingJob::kSteps);
    EXPECT_EQ(outcome.passes[0].loss, 0);
  }
}

TEST(Trainer, DataOfOneLabelIsRefusedByEveryRank) {
  for (const int64_t period : {0, 1}) {
    for (const JobShape& shape : kShapes) {
      SCOPED_TRACE(Name(shape));
      TrainingJob job;
      job.WriteData(period);
      job.drive = TrainingJob::TrainTwice;
      ExpectAllFail(job.Run(shape), StatusCode::kInvalidData,
                    std::string("has label ") + (period == 0 ? "1" : "0"));
    }
  }
}

TEST(Trainer, EvaluationCreatesNoRowsAndChangesNothing) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    job.drive = [](Trainer& trainer, TrainingJob::RankState& state, TrainingJob::Outcome*) {
      return trainer.TrainEpoch(state.train, 0, 1).status();
    };
    const auto trained = job.Run(shape);
    job.drive = [](Trainer& trainer, TrainingJob::RankState& state,
                   TrainingJob::Outcome* outcome) -> Status {
      TRESTLE_RETURN_IF_ERROR(trainer.TrainEpoch(state.train, 0, 1).status());
      TRESTLE_ASSIGN_OR_RETURN(Evaluation evaluation, trainer.Evaluate(state.test, "test"));
      outcome->evaluations.push_back(evaluation);
      return {};
    };
    const auto evaluated = job.Run(shape);
    ExpectAllOk(evaluated);
    EXPECT_EQ(evaluated.table_rows, trained.table_rows);
    EXPECT_EQ(evaluated.tables, trained.tables);
    EXPECT_EQ(evaluated.dense, trained.dense);
    EXPECT_GT(evaluated.evaluations[0].pass.unseen_share(), 0);
    EXPECT_LT(evaluated.evaluations[0].pass.unseen_share(), 1);
  }
}

TEST(Trainer, AReplicaThatDiffersIsFoundBeforeAnEvaluation) {
  for (const JobShape& shape : {JobShape{2, 0, 1}, JobShape{4, 1, 1}}) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    job.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                    TrainingJob::Outcome*) -> Status {
      TRESTLE_RETURN_IF_ERROR(trainer.TrainEpoch(state.train, 0, 1).status());
      TRESTLE_RETURN_IF_ERROR(trainer.CompareReplicas());
      if (state.rank == shape.ranks - 1) {  // a worker in both shapes, or a server's neighbour
        float& parameter = state.backend.State()[0].second[0];
        parameter = std::nextafter(parameter, 1.0f);
      }
      return trainer.Evaluate(state.test, "test").status();
    };
    const auto roles = AssignRoles(shape.servers, std::vector<std::string>(shape.ranks, "host"));
    ASSERT_EQ(roles->workers.back(), Rank{shape.ranks - 1});
    ExpectAllFail(job.Run(shape), StatusCode::kMismatch, "the dense parameters of rank ");
  }
}

TEST(Trainer, PredictionsThatAreNotFiniteEndEveryRank) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    job.spoil = {Spoil::kLogits, [](int64_t step) { return step == 2; }, 1};
    job.drive = TrainingJob::TrainTwice;
    ExpectAllFail(job.Run(shape), StatusCode::kNumeric, "1 of 97 predictions are NaN or infinite");
  }
}

// The reject file of one worker cannot be written: a failure of its keys thread alone.
TEST(Trainer, AReaderThatFailsOnOneRankEndsEveryRank) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    job.SpoilLabels({200});
    FaultFileSystem full(FileSystem::Local(), {.fail_call = 1});
    job.files = [&](int) -> FileSystem& { return full; };
    job.options = [](int, TrainerOptions* o) { o->max_bad_rows = 1; };
    job.drive = TrainingJob::TrainTwice;
    ExpectAllFail(job.Run(shape), StatusCode::kIoError, "injected failure");
  }
}

TEST(Trainer, AReaderThatCannotBeOpenedOnOneRankEndsEveryRank) {
  for (const JobShape& shape : kShapes) {
    for (const bool evaluating : {false, true}) {
      SCOPED_TRACE(Name(shape));
      TrainingJob job;
      const int odd = shape.ranks - 1;
      job.options = [&](int rank, TrainerOptions* o) { o->batch_rows = rank == odd ? 0 : 32; };
      job.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                      TrainingJob::Outcome*) -> Status {
        return evaluating ? trainer.Evaluate(state.test, "test").status()
                          : trainer.TrainEpoch(state.train, 0, 1).status();
      };
      ExpectAllFail(job.Run(shape), StatusCode::kInvalidConfig, "must be at least 1");
    }
  }
}

TEST(Trainer, TooManyBadRowsEndEveryRankAndNameTheFirst) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    job.SpoilLabels({200});
    job.drive = TrainingJob::TrainTwice;
    ExpectAllFail(job.Run(shape), StatusCode::kInvalidData, "row 200: ");
  }
}

TEST(Trainer, BadRowsWithinTheLimitLeaveHolesAndTheSameBits) {
  TrainingJob job;
  job.SpoilLabels({200});
  job.options = [](int, TrainerOptions* o) { o->max_bad_rows = 1; };
  job.drive = TrainingJob::TrainTwice;
  const auto reference = job.Run({1, 0, 1});
  EXPECT_EQ(reference.passes[0].rows, TrainingJob::kRows - 1);
  EXPECT_EQ(reference.passes[0].ledger.read, TrainingJob::kRows);
  EXPECT_EQ(reference.passes[0].ledger.rejected, 1);
  EXPECT_EQ(reference.passes[1].ledger.rejected, 1);
  EXPECT_EQ(job.Rejects(), job.train_file() + "\t200\ty\tlabel 2 is not 0 or 1\n");
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    ExpectSame(job.Run(shape), reference);
  }
}

// Pulls of one rank's two tables: 2 a step in the first table's case counts its own pulls only.
TEST(Trainer, AServerThatFailsInAnyStepEndsEveryRank) {
  constexpr int64_t kTestSteps = (97 + TrainingJob::kBatch - 1) / TrainingJob::kBatch;
  for (const JobShape& shape : kShapes) {
    for (const int64_t pull : {int64_t{1}, TrainingJob::kSteps - 1, TrainingJob::kSteps,
                               TrainingJob::kSteps + 1, TrainingJob::kSteps + kTestSteps}) {
      SCOPED_TRACE(Name(shape) + ", pull " + std::to_string(pull));
      TrainingJob job;
      const auto roles = AssignRoles(shape.servers, std::vector<std::string>(shape.ranks, "host"));
      job.full_table_rank = roles->servers.back().value;
      job.full_table_pull = static_cast<int>(pull);
      job.drive = TrainingJob::TrainTwice;
      ExpectAllFail(job.Run(shape), StatusCode::kOutOfMemory, "table is full");
    }
  }
}

TEST(Trainer, AStopRequestOfOneRankEndsThePassOnAllOfThem) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    std::atomic<int> asked{0};
    job.options = [&](int rank, TrainerOptions* o) {
      if (rank == shape.ranks - 1) o->stop_requested = [&] { return ++asked >= 3; };
    };
    job.drive = [](Trainer& trainer, TrainingJob::RankState& state,
                   TrainingJob::Outcome* outcome) -> Status {
      TRESTLE_ASSIGN_OR_RETURN(PassResult pass, trainer.TrainEpoch(state.train, 0, 1));
      outcome->passes.push_back(pass);
      EXPECT_TRUE(pass.stopped);
      EXPECT_EQ(pass.steps, 3);
      EXPECT_LT(pass.ledger.read, TrainingJob::kRows);
      return trainer.CompareReplicas();
    };
    ExpectAllOk(job.Run(shape));
  }
}

// What a worker does at each pause; the last rank's steps of them.
EpochPauses EvaluateEvery4(Trainer& trainer, TrainingJob::RankState& state, int ranks,
                           std::vector<int64_t>* steps) {
  EpochPauses pauses;
  pauses.every_steps = 4;
  pauses.at_pause = [&trainer, &state, ranks, steps](int64_t step) -> Result<bool> {
    if (state.rank == ranks - 1) steps->push_back(step);
    TRESTLE_RETURN_IF_ERROR(trainer.Evaluate(state.test, "test").status());
    TRESTLE_RETURN_IF_ERROR(trainer.AnnounceCheckpoint());
    return true;
  };
  return pauses;
}

Status TrainOnce(Trainer& trainer, TrainingJob::RankState& state, TrainingJob::Outcome* outcome,
                 const EpochProgress& done, const EpochPauses& pauses) {
  TRESTLE_ASSIGN_OR_RETURN(PassResult pass, trainer.TrainEpoch(state.train, 0, 1, done, pauses));
  outcome->passes.push_back(pass);
  TRESTLE_ASSIGN_OR_RETURN(Evaluation evaluation, trainer.Evaluate(state.test, "test"));
  outcome->evaluations.push_back(evaluation);
  return {};
}

TEST(Trainer, AnEpochThatPausesForEvaluationsEndsWithTheSameBits) {
  TrainingJob job;
  job.schema.slices = {"y"};
  job.drive = [](Trainer& trainer, TrainingJob::RankState& state, TrainingJob::Outcome* outcome) {
    return TrainOnce(trainer, state, outcome, {}, {});
  };
  const auto reference = job.Run({1, 0, 1});
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    std::vector<int64_t> steps;
    std::atomic<int> served{0};  // by dedicated servers
    job.at_boundary = [&](const AgreedHeader& header) {
      served += header.action == Action::kCheckpoint && header.step % 4 == 0;
      return Status();
    };
    job.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                    TrainingJob::Outcome* outcome) {
      return TrainOnce(trainer, state, outcome, {},
                       EvaluateEvery4(trainer, state, shape.ranks, &steps));
    };
    const auto outcome = job.Run(shape);
    ExpectAllOk(outcome);
    ExpectSame(outcome, reference);
    EXPECT_EQ(steps, (std::vector<int64_t>{4, 8}));
    EXPECT_EQ(served, 2 * shape.servers);
    const std::vector<Slice>& slices = outcome.evaluations[0].slices[0].slices;
    ASSERT_EQ(slices.size(), 2u) << "values of the label";
    for (size_t s = 0; s < slices.size(); ++s) {
      EXPECT_EQ(slices[s].value, reference.evaluations[0].slices[0].slices[s].value);
      EXPECT_EQ(slices[s].rows, reference.evaluations[0].slices[0].slices[s].rows);
      EXPECT_EQ(slices[s].log_loss, reference.evaluations[0].slices[0].slices[s].log_loss);
    }
  }
}

// Ended at a pause, whose evaluation is the first thing that the rest of the epoch does.
TEST(Trainer, AnEpochEndsEarlyAtItsLastStepAndGoesOnWithThePauseThere) {
  TrainingJob job;
  job.drive = [](Trainer& trainer, TrainingJob::RankState& state, TrainingJob::Outcome* outcome) {
    return TrainOnce(trainer, state, outcome, {}, {});
  };
  const auto reference = job.Run({1, 0, 1});
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    std::vector<int64_t> steps;
    std::vector<EpochProgress> at_8(static_cast<size_t>(shape.ranks));
    job.options = [&](int rank, TrainerOptions* o) {
      o->at_boundary = [&at_8, rank](const StepBoundary& boundary) {
        if (boundary.header.step == 8) at_8[static_cast<size_t>(rank)] = boundary.progress;
        return Status();
      };
    };
    job.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                    TrainingJob::Outcome* outcome) -> Status {
      EpochPauses pauses = EvaluateEvery4(trainer, state, shape.ranks, &steps);
      pauses.last_step = 8;
      TRESTLE_ASSIGN_OR_RETURN(const PassResult pass,
                               trainer.TrainEpoch(state.train, 0, 1, {}, pauses));
      EXPECT_FALSE(pass.complete || pass.stopped || pass.out_of_time);
      EXPECT_EQ(pass.steps, 8);
      return TrainOnce(trainer, state, outcome, at_8[static_cast<size_t>(state.rank)],
                       EvaluateEvery4(trainer, state, shape.ranks, &steps));
    };
    const auto outcome = job.Run(shape);
    ExpectAllOk(outcome);
    ExpectSame(outcome, reference);
    EXPECT_EQ(steps, (std::vector<int64_t>{4, 8}));
  }
}

TEST(Trainer, TimeThatIsOverOnOneRankEndsThePassOnAllOfThem) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    std::atomic<int> asked{0};
    job.options = [&](int rank, TrainerOptions* o) {
      if (rank == shape.ranks - 1) o->out_of_time = [&] { return ++asked >= 3; };
    };
    job.drive = [](Trainer& trainer, TrainingJob::RankState& state,
                   TrainingJob::Outcome*) -> Status {
      TRESTLE_ASSIGN_OR_RETURN(PassResult pass, trainer.TrainEpoch(state.train, 0, 1));
      EXPECT_TRUE(pass.out_of_time);
      EXPECT_FALSE(pass.stopped || pass.complete);
      EXPECT_EQ(pass.steps, 3);
      return trainer.Evaluate(state.test, "test").status();  // which it does not end
    };
    ExpectAllOk(job.Run(shape));
  }
}

TEST(Trainer, AStopRequestDuringAnEvaluationEndsItWithoutAnError) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    job.options = [&](int, TrainerOptions* o) { o->stop_requested = [] { return true; }; };
    job.drive = [](Trainer& trainer, TrainingJob::RankState& state,
                   TrainingJob::Outcome*) -> Status {
      TRESTLE_ASSIGN_OR_RETURN(Evaluation evaluation, trainer.Evaluate(state.test, "test"));
      EXPECT_TRUE(evaluation.pass.stopped);
      EXPECT_EQ(evaluation.pass.steps, 1);
      return {};
    };
    ExpectAllOk(job.Run(shape));
  }
}

}  // namespace
}  // namespace trestle
