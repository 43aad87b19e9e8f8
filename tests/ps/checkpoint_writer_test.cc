// Checkpoints taken while ranks train: when they begin, that they are the tables at the mark, and
// what a filesystem that fails leaves of them.
#include "ps/checkpoint/checkpoint_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ps/checkpoint/manifest.h"
#include "tests/ps/checkpoint_job.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/recording_filesystem.h"

namespace trestle::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;

const std::vector<JobShape> kShapes = {{1, 0}, {3, 0}, {4, 2}, {3, 1}};

std::string Text(JobShape shape) {
  return std::to_string(shape.ranks) + " ranks, " + std::to_string(shape.servers) + " servers";
}

constexpr char kFolder[] = "/run/checkpoints";

// Of the calls that may fail every so-many-th does: under a sanitizer a job takes ten times as
// long.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kStride = 11;
#else
constexpr int kStride = 1;
#endif

// Holds back whoever writes, until it is opened.
class GatedFileSystem final : public FileSystem {
 public:
  explicit GatedFileSystem(FileSystem& beneath) : beneath_(beneath) {}
  void Open() {
    open_ = true;
    open_.notify_all();
  }

  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    open_.wait(false);
    return beneath_.Create(path);
  }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override {
    return beneath_.OpenAppend(path);
  }
  Result<std::string> Read(const std::string& path) override { return beneath_.Read(path); }
  Result<int64_t> Size(const std::string& path) override { return beneath_.Size(path); }
  bool Exists(const std::string& path) override { return beneath_.Exists(path); }
  Status MakeDirectories(const std::string& path) override {
    return beneath_.MakeDirectories(path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return beneath_.Rename(from, to);
  }
  Status Remove(const std::string& path) override { return beneath_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override {
    return beneath_.RemoveDirectory(path);
  }
  Status SyncDirectory(const std::string& path) override { return beneath_.SyncDirectory(path); }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return beneath_.List(path);
  }
  Result<std::vector<std::string>> Glob(const std::string& pattern) override {
    return beneath_.Glob(pattern);
  }

 private:
  FileSystem& beneath_;
  std::atomic<bool> open_{false};
};

class CheckpointWriterTest : public ::testing::Test {
 protected:
  CheckpointJob Job(JobShape shape, int64_t every_steps, int steps) {
    disk_ = std::make_unique<RecordingFileSystem>();
    CheckpointJob job;
    job.shape = shape;
    job.folder = kFolder;
    job.files = [this](int) -> FileSystem& { return *disk_; };
    job.plan.steps = steps;
    job.plan.evaluations = 0;
    job.policy.every_steps = every_steps;
    job.policy.retention.keep = 1000;
    return job;
  }
  static std::string PathOf(const CheckpointReport& report) {
    return std::string(kFolder) + "/" + report.name;
  }
  Manifest ManifestOf(const std::string& path) const {
    auto manifest = ReadManifest(*disk_, path);
    EXPECT_TRUE(manifest.ok()) << manifest.status().ToString();
    return manifest.ok() ? *manifest : Manifest();
  }
  std::vector<std::string> CompleteOnes() const {
    std::vector<std::string> paths;
    const auto found = ListCheckpoints(*disk_, kFolder);
    EXPECT_TRUE(found.ok()) << found.status().ToString();
    for (const FoundCheckpoint& checkpoint : *found) {
      if (checkpoint.complete) paths.push_back(checkpoint.path);
    }
    return paths;
  }

  // Steps of the checkpoints that were reported, Finish's included; the ranks agree on them.
  std::vector<int64_t> StepsOf(const CheckpointOutcome& outcome) const {
    std::vector<int64_t> steps;
    for (size_t rank = 0; rank < outcome.reports.size(); ++rank) {
      std::vector<int64_t> own;
      for (const CheckpointReport& report : outcome.reports[rank]) own.push_back(report.step);
      own.push_back(outcome.last[rank].step);
      if (rank == 0) steps = own;
      EXPECT_EQ(own, steps) << "rank " << rank;
    }
    return steps;
  }

  // It is the model after that step, and loads on other numbers of servers.
  void ExpectHolds(const CheckpointJob& job, const CheckpointOutcome& outcome,
                   const CheckpointReport& report) {
    SCOPED_TRACE(report.name);
    ASSERT_TRUE(report.failure.ok()) << report.failure.ToString();
    EXPECT_TRUE(report.cleanup.ok()) << report.cleanup.ToString();
    const auto reader = CheckpointReader::Open(*disk_, PathOf(report));
    ASSERT_TRUE(reader.ok()) << reader.status().ToString();
    const Status verified = (*reader)->Verify();
    EXPECT_TRUE(verified.ok()) << verified.ToString();
    const Manifest& manifest = (*reader)->manifest();
    const auto marked = outcome.digests.find(report.step);
    ASSERT_NE(marked, outcome.digests.end());
    std::vector<uint64_t> digests, rows;
    for (const TableEntry& table : manifest.tables()) {
      digests.push_back(table.digest());
      rows.push_back(static_cast<uint64_t>(table.rows()));
    }
    EXPECT_EQ(digests, marked->second);
    EXPECT_EQ(rows, outcome.rows.at(report.step));
    for (const JobShape& other : {JobShape{1}, JobShape{2}, JobShape{4, 1}}) {
      EXPECT_EQ(RestoredDigests(*disk_, PathOf(report), job.plan, other), marked->second)
          << Text(other);
    }
    ExpectDense(report, **reader);
    ExpectCursor(job, report, manifest.cursor());
  }

  static void ExpectDense(const CheckpointReport& report, const CheckpointReader& reader) {
    StepDense expected, restored;
    expected.MoveTo(report.step);
    EXPECT_EQ(reader.manifest().dense_digest(), expected.Digest());
    EXPECT_TRUE(RestoreDense(reader, false, &restored).ok());
    EXPECT_EQ(restored.Digest(), expected.Digest());
  }

  // The leader's, but for what adds up over the workers.
  static void ExpectCursor(const CheckpointJob& job, const CheckpointReport& report,
                           const Cursor& found) {
    const Roles roles = RolesOf(job.shape);
    Cursor expected = CursorAt(report.step, roles.workers.front().value);
    for (const Rank rank : roles.workers) {
      if (rank == roles.workers.front()) continue;
      const Cursor part = CursorAt(report.step, rank.value);
      expected.set_positives(expected.positives() + part.positives());
      expected.set_rows_read(expected.rows_read() + part.rows_read());
      expected.set_rows_rejected(expected.rows_rejected() + part.rows_rejected());
      expected.set_ledger_hash(expected.ledger_hash() + part.ledger_hash());
    }
    EXPECT_EQ(found.SerializeAsString(), expected.SerializeAsString())
        << found.ShortDebugString() << "\nexpected " << expected.ShortDebugString();
  }

  // The leader's reports, Finish's last.
  static std::vector<CheckpointReport> LeadersReports(const CheckpointJob& job,
                                                      const CheckpointOutcome& outcome) {
    const auto leader = static_cast<size_t>(RolesOf(job.shape).workers.front().value);
    auto reports = outcome.reports[leader];
    reports.push_back(outcome.last[leader]);
    return reports;
  }

  // No folder of a checkpoint but complete ones, of which every byte is good.
  void ExpectOnlyGoodOnes() const {
    const auto found = ListCheckpoints(*disk_, kFolder);
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    for (const FoundCheckpoint& checkpoint : *found) {
      EXPECT_TRUE(checkpoint.complete) << checkpoint.path << " is half written";
      ExpectGood(checkpoint.path);
    }
  }
  void ExpectGood(const std::string& path) const {
    const auto reader = CheckpointReader::Open(*disk_, path);
    ASSERT_TRUE(reader.ok()) << reader.status().ToString();
    const Status verified = (*reader)->Verify();
    EXPECT_TRUE(verified.ok()) << verified.ToString();
  }

  std::unique_ptr<RecordingFileSystem> disk_;
};

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

TEST_F(CheckpointWriterTest, TooLittleSnapshotMemoryFailsTheCheckpointAlone) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Text(shape));
    CheckpointJob job = Job(shape, 5, 12);
    job.policy.snapshot_bytes = 16;
    const CheckpointOutcome outcome = RunCheckpointJob(job);
    for (size_t rank = 0; rank < outcome.reports.size(); ++rank) {
      ASSERT_EQ(outcome.reports[rank].size(), 2u);
      for (const CheckpointReport& report : outcome.reports[rank]) {
        EXPECT_EQ(report.failure.code(), StatusCode::kOutOfMemory) << report.failure.ToString();
        EXPECT_TRUE(report.cleanup.ok()) << report.cleanup.ToString();
      }
      EXPECT_EQ(outcome.last[rank].failure.code(), StatusCode::kOutOfMemory);
    }
    ExpectOnlyGoodOnes();
    EXPECT_THAT(CompleteOnes(), IsEmpty());
    EXPECT_EQ(outcome.digests, RunCheckpointJob(Job(shape, 0, 12)).digests);
  }
}

// A filesystem that fails once, at any call of any rank: that checkpoint fails on all ranks,
// training and the other checkpoints are as ever.
TEST_F(CheckpointWriterTest, AFailureOfAnyCallFailsOneCheckpointOnAllRanks) {
  const auto undisturbed = RunCheckpointJob(Job({1}, 0, 18)).digests;
  for (const JobShape& shape : std::vector<JobShape>{{1}, {2}, {3, 1}}) {
    for (int broken = 0; broken < shape.ranks; ++broken) {
      int64_t calls = 1 + broken;
      for (int64_t n = 1 + broken; n <= calls; n += shape.ranks * kStride) {
        SCOPED_TRACE(Text(shape) + ", rank " + std::to_string(broken) + " fails in call " +
                     std::to_string(n));
        CheckpointJob job = Job(shape, 6, 18);
        FaultFileSystem faulty(*disk_, {.fail_call = n, .only_once = true});
        job.policy.retention.keep = 2;
        job.files = [&](int rank) -> FileSystem& {
          if (rank == broken) return faulty;
          return *disk_;
        };
        const CheckpointOutcome outcome = RunCheckpointJob(job);
        calls = faulty.calls();
        EXPECT_EQ(outcome.digests, undisturbed);
        int failed = 0;
        bool all_gone = true;  // that should have
        for (const CheckpointReport& report : LeadersReports(job, outcome)) {
          if (report.failure.ok() && report.bytes > 0) all_gone = report.cleanup.ok();
          failed += report.failure.ok() && report.cleanup.ok() ? 0 : 1;
          if (!report.failure.ok()) {
            EXPECT_THAT(report.failure.ToString(), HasSubstr("injected failure of call"));
          }
        }
        EXPECT_LE(failed, 1);
        for (size_t rank = 0; rank < outcome.reports.size(); ++rank) {
          ASSERT_EQ(outcome.reports[rank].size(), outcome.reports[0].size());
          for (size_t i = 0; i < outcome.reports[rank].size(); ++i) {
            EXPECT_EQ(outcome.reports[rank][i].failure.code(),
                      outcome.reports[0][i].failure.code());
          }
          EXPECT_EQ(outcome.last[rank].failure.code(), outcome.last[0].failure.code());
        }
        if (all_gone) ExpectOnlyGoodOnes();
        EXPECT_GE(CompleteOnes().size(), 1u);
        for (const std::string& path : CompleteOnes()) ExpectGood(path);
        if (HasFailure()) return;
      }
    }
  }
}

// And one that fails from some call on, as a disk that breaks: what was complete stays good.
TEST_F(CheckpointWriterTest, ABrokenDiskNeverHarmsAnOlderOne) {
  const JobShape shape{2, 0};
  const auto undisturbed = RunCheckpointJob(Job({1}, 0, 18)).digests;
  for (int broken = 0; broken < shape.ranks; ++broken) {
    bool failed = true;
    for (int64_t n = 1; failed; n += kStride) {
      SCOPED_TRACE("rank " + std::to_string(broken) + " fails from call " + std::to_string(n));
      CheckpointJob job = Job(shape, 6, 18);
      FaultFileSystem faulty(*disk_, {.fail_call = n, .short_write = n % 50});
      job.policy.retention.keep = 1;
      job.files = [&](int rank) -> FileSystem& {
        if (rank == broken) return faulty;
        return *disk_;
      };
      const CheckpointOutcome outcome = RunCheckpointJob(job);
      failed = faulty.calls() >= n;
      EXPECT_EQ(outcome.digests, undisturbed);
      bool any_complete = false;
      for (const CheckpointReport& report : LeadersReports(job, outcome)) {
        if (report.failure.ok()) any_complete = true;
      }
      const auto complete = CompleteOnes();
      if (any_complete) {
        EXPECT_GE(complete.size(), 1u);
      }
      for (const std::string& path : complete) ExpectGood(path);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace trestle::testing
