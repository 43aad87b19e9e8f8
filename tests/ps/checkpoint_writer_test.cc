// Checkpoints taken while ranks train: when they begin, and that they are the tables at the mark.
#include <algorithm>
#include <set>
#include <utility>

#include "tests/ps/checkpoint_writer_fixture.h"

namespace trestle::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

TEST_F(CheckpointWriterTest, BySteps) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Text(shape));
    const CheckpointJob job = Job(shape, 6, 20);
    const CheckpointOutcome outcome = RunCheckpointJob(job);
    EXPECT_THAT(StepsOf(outcome), ElementsAre(6, 12, 18, 20));
    const auto reports = LeadersReports(job, outcome);
    for (const CheckpointReport& report : reports) ExpectHolds(job, outcome, report);
    int64_t number = 0;
    for (const std::string& path : CompleteOnes()) {
      const Manifest manifest = ManifestOf(path);
      EXPECT_EQ(manifest.number(), ++number);
      EXPECT_EQ(manifest.finished(), path.ends_with(reports.back().name));
    }
    EXPECT_EQ(number, 4);
  }
}

TEST_F(CheckpointWriterTest, TheShapeDoesNotChangeTheDigest) {
  std::set<std::string> digests;
  for (const JobShape& shape : kShapes) {
    const CheckpointJob job = Job(shape, 5, 8);
    for (const auto& report : LeadersReports(job, RunCheckpointJob(job))) {
      digests.insert(std::to_string(report.step) + " " + report.digest);
    }
  }
  EXPECT_EQ(digests.size(), 2u);
}

TEST_F(CheckpointWriterTest, ByTimeOfTheLeader) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Text(shape));
    FakeClock clock;
    CheckpointJob job = Job(shape, 0, 40);
    job.policy.every = std::chrono::seconds(60);
    job.clock = &clock;
    const int leader = RolesOf(shape).workers.front().value;
    job.before = [&](const AtStep& at) {
      if (at.rank != leader) return;
      if (at.step == 3) clock.Advance(61);
      if (at.step == 15) clock.Advance(30);
      if (at.step == 25) clock.Advance(31);
    };
    job.after = [](const AtStep& at) {
      if (at.step > 8 && at.step < 25) CheckpointJob::Settle(at);  // no vote is out
    };
    const CheckpointOutcome outcome = RunCheckpointJob(job);
    // Headers are prepared up to four steps ahead.
    EXPECT_THAT(StepsOf(outcome), ElementsAre(AllOf(Ge(4), Le(8)), AllOf(Ge(26), Le(30)), 40));
    for (const auto& report : LeadersReports(job, outcome)) ExpectHolds(job, outcome, report);
  }
}

TEST_F(CheckpointWriterTest, ByRequestOnAnyRank) {
  for (const JobShape& shape : kShapes) {
    for (int asked = 0; asked < shape.ranks; ++asked) {
      SCOPED_TRACE(Text(shape) + ", asked: rank " + std::to_string(asked));
      CheckpointJob job = Job(shape, 0, 16);
      job.before = [&](const AtStep& at) {
        if (at.rank == asked && at.step == 3) at.writer.Request();
      };
      job.after = [](const AtStep&) {};
      const CheckpointOutcome outcome = RunCheckpointJob(job);
      EXPECT_THAT(StepsOf(outcome), ElementsAre(AllOf(Ge(4), Le(8)), 16));
      ExpectHolds(job, outcome, LeadersReports(job, outcome).front());
    }
  }
}

// Headers that were prepared before a checkpoint began still ask for it when it has.
TEST_F(CheckpointWriterTest, StaleHeadersStartNothingTwice) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Text(shape));
    CheckpointJob job = Job(shape, 8, 23);
    // All ask, and after the header of step 8 was prepared or before: who knows.
    job.before = [&](const AtStep& at) {
      if (at.step % 8 == 7) at.writer.Request();
    };
    job.after = [](const AtStep& at) {
      if (at.step % 8 != 7) CheckpointJob::Settle(at);
    };
    EXPECT_THAT(StepsOf(RunCheckpointJob(job)), ElementsAre(8, 16, 23));
  }
}

// What a manifest says of the run is as of the mark too, however late it is written.
TEST_F(CheckpointWriterTest, TheLedgerIsThatOfTheMark) {
  CheckpointJob job = Job({2}, 4, 20);
  job.policy.every_steps = 2;
  GatedFileSystem gated(*disk_);
  job.files = [&](int) -> FileSystem& { return gated; };
  job.before = [&](const AtStep& at) {
    if (at.rank == 0 && at.step == 9) at.writer.AddLedgerEntry({});
  };
  job.after = [&](const AtStep& at) {
    if (at.step != 10) return;
    gated.Open();
    while (at.writer.Votes().written < 1) LetWritersRun();
  };
  const auto reports = LeadersReports(job, RunCheckpointJob(job));
  ASSERT_GE(reports.size(), 2u);
  EXPECT_EQ(reports[0].step, 2);
  EXPECT_EQ(ManifestOf(PathOf(reports[0])).ledger_size(), 0);
  EXPECT_EQ(ManifestOf(PathOf(reports[1])).ledger_size(), 1);
}

// A clock by which a writer is looked at in the middle of what it does, as a keys thread would.
class PeepingClock final : public Clock {
 public:
  Duration Now() const override {
    if (writer && !std::exchange(peeping_, true)) {
      most_wanted = std::max(most_wanted, writer->Votes().wanted);
      peeping_ = false;
    }
    now_ += std::chrono::seconds(1);
    return now_;
  }
  void SleepFor(Duration) const override {}
  CheckpointWriter* writer = nullptr;
  mutable uint32_t most_wanted = 0;

 private:
  mutable bool peeping_ = false;
  mutable Duration now_{0};
};

TEST_F(CheckpointWriterTest, VotesOfAnyMomentAskForNoMoreThanIsDue) {
  PeepingClock clock;
  RecordingFileSystem disk;
  const auto body = [&](Communicator& comm) -> Status {
    ThreadPool pool(1);
    NodeOptions options;
    options.roles = RolesOf({1});
    options.tables = SmallPlan(1).tables;
    TRESTLE_ASSIGN_OR_RETURN(const auto node, MakeNode(comm, options, &pool));
    StepDense dense;
    CheckpointWriter::Options settings;
    settings.folder = kFolder;
    settings.leader = Rank{0};
    settings.policy.every = std::chrono::seconds(20);
    for (size_t t = 0; t < options.tables.size(); ++t) settings.facts.add_tables();
    CheckpointWriter writer(comm, disk, clock, *node, &dense, settings);
    clock.writer = &writer;
    for (int i = 0; i < 25; ++i) (void)clock.Now();
    EXPECT_EQ(writer.Votes().wanted, 1u);
    writer.Request();  // and by time
    EXPECT_EQ(writer.Votes().wanted, 1u);
    AgreedHeader header;
    header.step = 1;
    header.checkpoints = writer.Votes();
    Cursor cursor;
    cursor.set_step(1);
    TRESTLE_RETURN_IF_ERROR(writer.AtBoundary(header, cursor).status());
    EXPECT_EQ(writer.Votes().wanted, 1u) << "begun";
    return writer.Drain().status();
  };
  const Status ran = RunThreadRanks(1, body);
  EXPECT_TRUE(ran.ok()) << ran.ToString();
  EXPECT_EQ(clock.most_wanted, 1u);
}

TEST_F(CheckpointWriterTest, OneThatFallsDueWhileAnotherIsWrittenBeginsAfterIt) {
  for (const JobShape& shape : kShapes) {
    const Roles roles = RolesOf(shape);
    for (const int slow : {roles.workers.front().value, roles.servers.back().value}) {
      SCOPED_TRACE(Text(shape) + ", slow: rank " + std::to_string(slow));
      CheckpointJob job = Job(shape, 2, 30);
      GatedFileSystem gated(*disk_);
      job.files = [&](int rank) -> FileSystem& {
        if (rank == slow) return gated;
        return *disk_;
      };
      job.after = [&](const AtStep& at) {
        // Due at 4, 6, ... 14 as well, and asked for by hand.
        if (at.step == 5) at.writer.Request();
        if (at.step != 15) return;
        gated.Open();
        while (at.writer.Votes().written < 1) LetWritersRun();
      };
      const CheckpointOutcome outcome = RunCheckpointJob(job);
      const auto reports = LeadersReports(job, outcome);
      const auto leader = static_cast<size_t>(roles.workers.front().value);
      ASSERT_GE(reports.size(), 3u);
      EXPECT_EQ(reports[0].step, 2);
      EXPECT_THAT(outcome.reported_at[leader][0], AllOf(Ge(15), Le(20)));
      for (size_t i = 0; i + 2 < reports.size(); ++i) {
        const int64_t over = outcome.reported_at[leader][i];
        EXPECT_GE(reports[i + 1].step, over) << "two at once";
      }
      EXPECT_EQ(reports[1].step, outcome.reported_at[leader][0]) << "it was due";
      EXPECT_EQ(reports.back().step, job.plan.steps);
      for (const CheckpointReport& report : reports) ExpectHolds(job, outcome, report);
    }
  }
}

TEST_F(CheckpointWriterTest, DeltasStandOnTheNewestFullOne) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Text(shape));
    CheckpointJob job = Job(shape, 6, 44);
    job.policy.incremental = true;
    job.policy.full_every = 3;
    const CheckpointOutcome outcome = RunCheckpointJob(job);
    EXPECT_THAT(StepsOf(outcome), ElementsAre(6, 12, 18, 24, 30, 36, 42, 44));
    const auto reports = LeadersReports(job, outcome);
    std::string base;
    for (size_t i = 0; i < reports.size(); ++i) {
      ExpectHolds(job, outcome, reports[i]);
      EXPECT_EQ(reports[i].full, i % 3 == 0);
      if (reports[i].full) base = reports[i].name;
      const Manifest manifest = ManifestOf(PathOf(reports[i]));
      EXPECT_EQ(manifest.base(), reports[i].full ? "" : base);
      int64_t rows = 0;
      for (const TableEntry& table : manifest.tables()) rows += table.rows();
      EXPECT_LE(reports[i].rows, rows);
    }
  }
}

TEST_F(CheckpointWriterTest, RetentionKeepsWhatDeltasStandOn) {
  CheckpointJob job = Job({2, 0}, 6, 44);
  job.policy.incremental = true;
  job.policy.full_every = 4;
  job.policy.retention.keep = 1;
  const CheckpointOutcome outcome = RunCheckpointJob(job);
  EXPECT_THAT(StepsOf(outcome), ElementsAre(6, 12, 18, 24, 30, 36, 42, 44));
  EXPECT_THAT(CompleteOnes(),
              ElementsAre(HasSubstr("step-00000030.1"), HasSubstr("step-00000044.1")));
  ExpectOnlyGoodOnes();
}

// Evaluations after step 4, at which a checkpoint was begun, and after step 7, at which none was:
// each was the best so far. With `fails` the second one's checkpoint can not be written.
void KeepBestAt4And7(bool fails, CheckpointJob* job) {
  const int leader = RolesOf(job->shape).workers.front().value;
  job->policy.retention.keep = 1;
  if (fails) job->no_memory_at = 7;
  job->after = [leader](const AtStep& at) {
    CheckpointJob::Settle(at);
    if (at.step != 4 && at.step != 7) return;
    EvaluationRecord record;
    record.set_step(at.step);
    record.set_best_step(at.step);
    record.set_checkpoint("not the caller's to say");
    if (at.rank == leader) at.writer.SetEvaluations(record);
    const auto before = at.writer.KeepBest(CursorAt(at.step, at.rank));
    ASSERT_TRUE(before.ok()) << before.status().ToString();
    EXPECT_FALSE(at.step == 4 && before->has_value()) << "there was none before";
    CheckpointJob::Settle(at);
  };
}

TEST_F(CheckpointWriterTest, TheBestStaysWithWhatRetentionKeepsAndEveryManifestNamesIt) {
  for (const JobShape& shape : kShapes) {
    for (const bool fails : {false, true}) {
      SCOPED_TRACE(Text(shape) + (fails ? ", the second fails" : ""));
      CheckpointJob job = Job(shape, 4, 12);
      KeepBestAt4And7(fails, &job);
      const CheckpointOutcome outcome = RunCheckpointJob(job);
      for (const Status& status : outcome.statuses) EXPECT_TRUE(status.ok()) << status.ToString();
      const std::string best = CheckpointName{fails ? 4 : 7, 1}.ToString();
      const std::string path = std::string(kFolder) + "/" + best;
      const std::string last = std::string(kFolder) + "/" + CheckpointName{12, 1}.ToString();
      EXPECT_THAT(CompleteOnes(), ElementsAre(path, last));
      for (const std::string& one : {path, last}) {
        EXPECT_EQ(ManifestOf(one).evaluations().checkpoint(), best);
        EXPECT_EQ(ManifestOf(one).evaluations().digest(), ManifestOf(path).digest());
      }
      EXPECT_EQ(ManifestOf(last).evaluations().best_step(), 7);
      EXPECT_EQ(ManifestOf(path).evaluations().best_step(), fails ? 4 : 7)
          << "of step 4 itself, although its checkpoint was begun before the evaluation";
    }
  }
}

// Training ends where a checkpoint stands: its manifest alone is written again.
TEST_F(CheckpointWriterTest, FinishAtTheStepOfTheNewestStatesItsEndOnly) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Text(shape));
    CheckpointJob job = Job(shape, 10, 10);
    const CheckpointOutcome outcome = RunCheckpointJob(job);
    EXPECT_THAT(StepsOf(outcome), ElementsAre(10, 10));
    const auto reports = LeadersReports(job, outcome);
    EXPECT_EQ(reports[0].name, reports[1].name);
    EXPECT_EQ(reports[0].digest, reports[1].digest);
    EXPECT_GT(reports[0].bytes, 0);
    EXPECT_EQ(reports[1].bytes, 0);
    ExpectHolds(job, outcome, reports[1]);
    const Manifest manifest = ManifestOf(PathOf(reports[1]));
    EXPECT_TRUE(manifest.finished());
    EXPECT_EQ(manifest.number(), 1);
    EXPECT_EQ(CompleteOnes().size(), 1u);
  }
}

}  // namespace
}  // namespace trestle::testing
