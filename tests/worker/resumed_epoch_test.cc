// An epoch that is resumed in the middle ends as one that was left alone: the same result, bit for
// bit, from every step of it and at other numbers of workers. (From files: tests/dist/resume_test.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "base/partition.h"
#include "tests/ps/checkpoint_files.h"
#include "tests/worker/trainer_fixture.h"
#include "worker/trainer.h"

namespace trestle {
namespace {

using testing::HasSubstr;

// All that training is between two steps.
struct Model {
  int64_t epoch = 0;
  EpochProgress progress;  // summed over the workers
  std::vector<std::vector<PlainRow>> tables;
  std::vector<std::vector<float>> dense;
};

class ResumedEpoch : public ::testing::Test {
 protected:
  // Two epochs on colocated ranks; keeps the model after every step.
  TrainingJob::Outcome TrainAll(const JobShape& shape) {
    models_.clear();
    std::vector<TrainingJob::RankState*> states(static_cast<size_t>(shape.ranks));
    job_.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                     TrainingJob::Outcome* outcome) {
      states[static_cast<size_t>(state.rank)] = &state;
      return TrainingJob::TrainTwice(trainer, state, outcome);
    };
    job_.options = [&](int rank, TrainerOptions* options) {
      options->max_bad_rows = max_bad_rows_;
      options->schedule = Schedule();
      options->at_boundary = [&, rank](const StepBoundary& boundary) {
        Keep(*states[static_cast<size_t>(rank)], boundary);
        return Status();
      };
    };
    job_.prepare = [](Node&) {};
    return job_.Run(shape);
  }

  // The rest from the model after `step`.
  TrainingJob::Outcome TrainRest(const JobShape& shape, int64_t step) {
    const Model& from = models_.at(step);
    job_.prepare = [&](Node& node) { Fill(from, node); };
    job_.options = [&, step](int, TrainerOptions* options) {
      options->max_bad_rows = max_bad_rows_;
      options->schedule = Schedule();
      options->steps_done = step;
    };
    job_.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                     TrainingJob::Outcome* outcome) -> Status {
      auto dense = state.backend.State();
      for (size_t i = 0; i < dense.size(); ++i) {
        std::copy(from.dense[i].begin(), from.dense[i].end(), dense[i].second.begin());
      }
      EpochProgress done = from.progress;
      if (state.rank != FirstWorker(shape)) {
        done.positives = 0;
        done.ledger = {};
      }
      for (int64_t epoch = from.epoch; epoch < 2; ++epoch) {
        TRESTLE_ASSIGN_OR_RETURN(const PassResult pass,
                                 trainer.TrainEpoch(state.train, epoch, 2, done));
        done = {};
        outcome->passes.push_back(pass);
        TRESTLE_ASSIGN_OR_RETURN(Evaluation evaluation, trainer.Evaluate(state.test, "test"));
        outcome->evaluations.push_back(std::move(evaluation));
      }
      return {};
    };
    return job_.Run(shape);
  }

  // Another factor in every step, and one that depends on the number of all steps.
  static LrSchedule Schedule() {
    LrSchedule schedule;
    schedule.set_warmup_steps(3);
    schedule.mutable_cosine()->set_floor(0.1f);
    return schedule;
  }

  static int FirstWorker(const JobShape& shape) {
    const std::vector<std::string> hosts(static_cast<size_t>(shape.ranks), "host");
    return AssignRoles(shape.servers, hosts)->workers.front().value;
  }

  TrainingJob job_;
  int64_t max_bad_rows_ = 0;
  std::map<int64_t, Model> models_;

 private:
  void Keep(TrainingJob::RankState& state, const StepBoundary& boundary) {
    std::lock_guard lock(mutex_);
    Model& model = models_[boundary.header.step];
    model.tables.resize(job_.schema.tables.size());
    for (size_t t = 0; t < model.tables.size(); ++t) {
      const Status read =
          state.node.tables()[t]->ForEachRow(0, kPartitions, [&](const RowView& row) {
            model.tables[t].push_back(PlainRow::Of(row));
            return Status();
          });
      EXPECT_TRUE(read.ok()) << read.ToString();
    }
    const EpochProgress sum = model.progress;
    if (state.rank == 0) {
      model.epoch = boundary.epoch;
      model.progress = boundary.progress;
      for (const auto& [slice, values] : state.backend.State()) {
        model.dense.emplace_back(values.begin(), values.end());
      }
    } else {
      model.progress.positives += boundary.progress.positives;
      model.progress.ledger.read += boundary.progress.ledger.read;
      model.progress.ledger.rejected += boundary.progress.ledger.rejected;
      model.progress.ledger.hash += boundary.progress.ledger.hash;
      return;
    }
    model.progress.positives += sum.positives;  // of those who were here before
    model.progress.ledger.read += sum.ledger.read;
    model.progress.ledger.rejected += sum.ledger.rejected;
    model.progress.ledger.hash += sum.ledger.hash;
  }

  static void Fill(const Model& model, Node& node) {
    const std::vector<EmbeddingTable*> tables = node.tables();
    for (size_t t = 0; t < tables.size(); ++t) {
      for (const PlainRow& row : model.tables[t]) {
        if (ShardOf(PartitionOf(Key{row.key}), node.server_count()) != node.server_index())
          continue;
        const Status inserted = tables[t]->Insert(row.View());
        EXPECT_TRUE(inserted.ok()) << inserted.ToString();
      }
    }
  }

  std::mutex mutex_;
};

const std::vector<JobShape> kOnto = {{1, 0, 2}, {2, 0, 1}, {5, 0, 1}, {3, 1, 1}, {4, 2, 1}};

void ExpectSamePass(const PassResult& a, const PassResult& b) {
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.skipped_steps, b.skipped_steps);
  EXPECT_EQ(a.rows, b.rows);
  EXPECT_EQ(a.positives, b.positives);
  EXPECT_EQ(a.loss, b.loss);  // all bits
  EXPECT_EQ(a.ledger.read, b.ledger.read);
  EXPECT_EQ(a.ledger.rejected, b.ledger.rejected);
  EXPECT_EQ(a.ledger.hash, b.ledger.hash);
  EXPECT_EQ(a.stopped, b.stopped);
}

void ExpectSameEnd(const TrainingJob::Outcome& resumed, const TrainingJob::Outcome& alone) {
  for (const auto& [status, whole] : resumed.ranks) {
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(whole);
  }
  EXPECT_EQ(resumed.dense, alone.dense);
  EXPECT_EQ(resumed.tables, alone.tables);
  EXPECT_EQ(resumed.table_rows, alone.table_rows);
  ASSERT_LE(resumed.passes.size(), alone.passes.size());
  ASSERT_GE(resumed.passes.size(), 1u);
  const size_t before = alone.passes.size() - resumed.passes.size();
  for (size_t i = 0; i < resumed.passes.size(); ++i) {
    ExpectSamePass(resumed.passes[i], alone.passes[before + i]);
    const Metrics& a = resumed.evaluations[i].metrics;
    const Metrics& b = alone.evaluations[before + i].metrics;
    EXPECT_EQ(a.auc, b.auc);
    EXPECT_EQ(a.log_loss, b.log_loss);
  }
}

// The last step of an epoch too: nothing is left of it but its end.
TEST_F(ResumedEpoch, FromEveryStepEndsAsLeftAlone) {
  for (const int ranks : {1, 3}) {
    const auto alone = TrainAll({ranks, 0, 1});
    ASSERT_EQ(models_.size(), 2u * TrainingJob::kSteps);
    for (const auto& [step, model] : models_) {
      const JobShape& onto = kOnto[static_cast<size_t>(step) % kOnto.size()];
      SCOPED_TRACE("step " + std::to_string(step) + " of " + std::to_string(ranks) +
                   " ranks onto " + Name(onto));
      ExpectSameEnd(TrainRest(onto, step), alone);
    }
  }
}

TEST_F(ResumedEpoch, SkippedStepsAndRejectedRowsCountOnBothSides) {
  job_.on_bad_step = Train::SKIP;
  job_.spoil.spoil = SpoiledBackend::Spoil::kDense;
  job_.spoil.at = [](int64_t step) { return step == 3 || step == 9; };
  job_.SpoilLabels({5, 140, 290});
  max_bad_rows_ = 3;
  const auto alone = TrainAll({2, 0, 1});
  ASSERT_EQ(alone.passes.size(), 2u);
  EXPECT_EQ(alone.passes[0].skipped_steps, 2);
  EXPECT_EQ(alone.passes[0].ledger.rejected, 3);
  for (const int64_t step : {2, 3, 5, 9, 11, 14}) {
    for (const JobShape& onto : kOnto) {
      SCOPED_TRACE("step " + std::to_string(step) + " onto " + Name(onto));
      ExpectSameEnd(TrainRest(onto, step), alone);
    }
  }
}

class BadRowsAcrossARestart : public ResumedEpoch {
 protected:
  // Rank that says it, and all others.
  void ExpectTooMany(const TrainingJob::Outcome& outcome, const std::string& what) {
    int origins = 0;
    for (const auto& [status, whole] : outcome.ranks) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidData) << status.ToString();
      EXPECT_THAT(status.ToString(), HasSubstr(what));
      EXPECT_TRUE(whole);
      origins += status.from_peer() ? 0 : 1;
    }
    EXPECT_EQ(origins, 1);
  }
  // The step after which so many rows of the first epoch were rejected.
  int64_t StepWithRejected(int64_t count) const {
    for (const auto& [step, model] : models_) {
      if (model.progress.ledger.rejected == count && model.epoch == 0) return step;
    }
    ADD_FAILURE() << "no step ends with " << count << " bad rows";
    return 1;
  }
};

TEST_F(BadRowsAcrossARestart, AreAddedUp) {
  job_.SpoilLabels({5, 140, 290});
  max_bad_rows_ = 3;
  TrainAll({2, 0, 1});
  max_bad_rows_ = 1;
  for (const JobShape& onto : kOnto) {
    SCOPED_TRACE(Name(onto));
    ExpectTooMany(TrainRest(onto, StepWithRejected(1)), "2 bad rows; data.max_bad_rows allows 1");
  }
}

// The limit was lowered below what was met already.
TEST_F(BadRowsAcrossARestart, ThatAreTooManyAlreadyEndItAtOnce) {
  job_.SpoilLabels({5});
  max_bad_rows_ = 1;
  TrainAll({2, 0, 1});
  max_bad_rows_ = 0;
  for (const int64_t step : {StepWithRejected(1), TrainingJob::kSteps}) {
    for (const JobShape& onto : kOnto) {
      SCOPED_TRACE("step " + std::to_string(step) + " onto " + Name(onto));
      ExpectTooMany(TrainRest(onto, step), "1 bad rows; data.max_bad_rows allows 0");
    }
  }
}

}  // namespace
}  // namespace trestle
