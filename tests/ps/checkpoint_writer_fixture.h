// What the tests of checkpoint writers share: a disk in memory, jobs that write to it, and what
// must hold of what they wrote. And a filesystem that holds back whoever writes.
//
// Thread safety: one test; GatedFileSystem as FileSystem. Errors: tests fail.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "ps/checkpoint/checkpoint_writer.h"
#include "ps/checkpoint/manifest.h"
#include "tests/ps/checkpoint_job.h"
#include "tests/support/passing_filesystem.h"
#include "tests/support/recording_filesystem.h"
#include "tests/support/sanitizers.h"

namespace trestle::testing {

inline const std::vector<JobShape> kShapes =
    kSanitized ? std::vector<JobShape>{{1, 0}, {3, 1}}
               : std::vector<JobShape>{{1, 0}, {3, 0}, {4, 2}, {3, 1}};

inline std::string Text(JobShape shape) {
  return std::to_string(shape.ranks) + " ranks, " + std::to_string(shape.servers) + " servers";
}

inline constexpr char kFolder[] = "/run/checkpoints";

// Holds back whoever writes, until it is opened.
class GatedFileSystem final : public PassingFileSystem {
 public:
  using PassingFileSystem::PassingFileSystem;
  void Open() {
    open_ = true;
    open_.notify_all();
  }
  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    open_.wait(false);
    return PassingFileSystem::Create(path);
  }

 private:
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

}  // namespace trestle::testing
