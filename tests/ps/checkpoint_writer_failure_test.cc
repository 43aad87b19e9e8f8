// Checkpoints that cannot be written: they fail alone, on all ranks, and training goes on as ever.
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "ps/checkpoint/rank_files.h"
#include "tests/ps/checkpoint_writer_fixture.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/sanitizers.h"

namespace trestle::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using CheckpointWriterFailureTest = CheckpointWriterTest;

constexpr int kCallStride = kSanitized ? 37 : 1;  // of the calls that may fail every so-many-th does

TEST_F(CheckpointWriterFailureTest, TooLittleSnapshotMemoryFailsTheCheckpointAlone) {
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

// What is measured with all the memory it takes, and then with one byte less: the rank that held
// most has a step that waits for it, longer than it may.
TEST_F(CheckpointWriterFailureTest, AStepThatWaitsTooLongFailsTheCheckpointAlone) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Text(shape));
    CheckpointJob job = Job(shape, 5, 12);
    job.policy.patience = std::chrono::nanoseconds(1);
    std::vector<std::unique_ptr<GatedFileSystem>> gates;  // a rank each, open after step 9
    job.files = [&](int rank) -> FileSystem& { return *gates[static_cast<size_t>(rank)]; };
    job.after = [&](const AtStep& at) {
      if (at.step < 9) return;
      gates[static_cast<size_t>(at.rank)]->Open();
      CheckpointJob::Settle(at);
    };
    const auto run = [&] {
      disk_ = std::make_unique<RecordingFileSystem>();
      gates.clear();
      for (int r = 0; r < shape.ranks; ++r) {
        gates.push_back(std::make_unique<GatedFileSystem>(*disk_));
      }
      const CheckpointOutcome outcome = RunCheckpointJob(job);
      EXPECT_EQ(outcome.digests, RunCheckpointJob(Job({1}, 0, 12)).digests);
      return LeadersReports(job, outcome).front();
    };
    const CheckpointReport plenty = run();
    EXPECT_TRUE(plenty.failure.ok()) << plenty.failure.ToString();
    EXPECT_EQ(plenty.waited_seconds, 0);
    EXPECT_GT(plenty.snapshot_peak_bytes, 0) << "of the rank that holds most, the leader or not";
    job.policy.snapshot_bytes = plenty.snapshot_peak_bytes - 1;
    const CheckpointReport scarce = run();
    EXPECT_EQ(scarce.step, plenty.step);
    EXPECT_EQ(scarce.failure.code(), StatusCode::kOutOfMemory) << scarce.failure.ToString();
    EXPECT_THAT(
        scarce.failure.ToString(),
        HasSubstr("memory for rows that change while they are written ran out, and the disk was "
                  "too slow to wait for; raise checkpoint.snapshot_mb"));
    EXPECT_GT(scarce.waited_seconds, 0);
    EXPECT_LE(scarce.snapshot_peak_bytes, job.policy.snapshot_bytes);
  }
}

TEST_F(CheckpointWriterFailureTest, NoMemoryToCopyTheNetworkFailsTheCheckpointAlone) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Text(shape));
    CheckpointJob job = Job(shape, 5, 12);
    job.no_memory_at = 5;
    const CheckpointOutcome outcome = RunCheckpointJob(job);
    const auto reports = LeadersReports(job, outcome);
    ASSERT_EQ(reports.size(), 3u);
    for (const auto& of_rank : outcome.reports) {
      EXPECT_EQ(of_rank.front().failure.code(), StatusCode::kOutOfMemory);
      EXPECT_THAT(of_rank.front().failure.ToString(),
                  HasSubstr("marking: no memory to write a checkpoint with"));
    }
    ExpectHolds(job, outcome, reports[1]);
    ExpectHolds(job, outcome, reports[2]);
    ExpectOnlyGoodOnes();
    EXPECT_EQ(outcome.digests, RunCheckpointJob(Job({1}, 0, 12)).digests);
  }
}

// Memory runs out once: while a rank writes its files, or while the leader makes a checkpoint
// complete.
class NoMemoryFileSystem final : public PassingFileSystem {
 public:
  NoMemoryFileSystem(FileSystem& beneath, bool while_writing)
      : PassingFileSystem(beneath), while_writing_(while_writing) {}
  Status MakeDirectories(const std::string& path) override {
    if (while_writing_ && path.ends_with("/embedding")) ThrowOnce();
    return PassingFileSystem::MakeDirectories(path);
  }
  Status SyncDirectory(const std::string& path) override {
    if (!while_writing_ && path == kFolder) ThrowOnce();
    return PassingFileSystem::SyncDirectory(path);
  }

 private:
  void ThrowOnce() {
    if (!thrown_.exchange(true)) throw std::bad_alloc();
  }
  const bool while_writing_;
  std::atomic<bool> thrown_{false};
};

class NoMemoryTest : public CheckpointWriterFailureTest {
 protected:
  void ExpectThatOneFails(const JobShape& shape, bool while_writing, const std::string& reason) {
    SCOPED_TRACE(Text(shape));
    CheckpointJob job = Job(shape, 5, 12);
    NoMemoryFileSystem full(*disk_, while_writing);
    job.files = [&](int) -> FileSystem& { return full; };
    const CheckpointOutcome outcome = RunCheckpointJob(job);
    const auto reports = LeadersReports(job, outcome);
    ASSERT_EQ(reports.size(), 3u);
    for (const auto& of_rank : outcome.reports) {
      EXPECT_EQ(of_rank.front().failure.code(), StatusCode::kOutOfMemory);
      EXPECT_THAT(of_rank.front().failure.ToString(), HasSubstr(reason));
      EXPECT_TRUE(of_rank.front().cleanup.ok()) << of_rank.front().cleanup.ToString();
    }
    ExpectHolds(job, outcome, reports[1]);
    ExpectHolds(job, outcome, reports[2]);
    ExpectOnlyGoodOnes();
  }
};

TEST_F(NoMemoryTest, ForTheFilesOfARankFailsTheCheckpointAlone) {
  for (const JobShape& shape : kShapes) {
    ExpectThatOneFails(shape, true, "writing: no memory to write a checkpoint with");
  }
}

TEST_F(NoMemoryTest, ForTheManifestFailsTheCheckpointAlone) {
  for (const JobShape& shape : kShapes) {
    ExpectThatOneFails(shape, false, "completing: no memory to write a checkpoint with");
  }
}

// The system's limit on threads does not bind root, but the room for a stack does.
TEST(RankFilesTest, SaysThatTheSystemHasNoThread) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer makes threads its own way";
  pthread_attr_t usual, endless;
  ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(::pthread_getattr_default_np(&endless), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&endless, size_t{1} << 60), 0);
  RecordingFileSystem disk;
  bool done = false;
  RankFiles files(disk, {.folder = kFolder}, {}, {});
  ASSERT_EQ(::pthread_setattr_default_np(&endless), 0);
  const Status started = files.Start([&] { done = true; });
  ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
  EXPECT_EQ(started.code(), StatusCode::kOutOfMemory);
  EXPECT_THAT(started.ToString(), HasSubstr("no thread to write a checkpoint with: "));
  EXPECT_FALSE(done);
  ::pthread_attr_destroy(&endless);
  ::pthread_attr_destroy(&usual);
}

// A filesystem that fails once, at any call of any rank: that checkpoint fails on all ranks,
// training and the other checkpoints are as ever.
TEST_F(CheckpointWriterFailureTest, AFailureOfAnyCallFailsOneCheckpointOnAllRanks) {
  const auto undisturbed = RunCheckpointJob(Job({1}, 0, 18)).digests;
  for (const JobShape& shape : std::vector<JobShape>{{1}, {2}, {3, 1}}) {
    for (int broken = 0; broken < shape.ranks; ++broken) {
      int64_t calls = 1 + broken;
      for (int64_t n = 1 + broken; n <= calls; n += shape.ranks * kCallStride) {
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
TEST_F(CheckpointWriterFailureTest, ABrokenDiskNeverHarmsAnOlderOne) {
  const JobShape shape{2, 0};
  const auto undisturbed = RunCheckpointJob(Job({1}, 0, 18)).digests;
  for (int broken = 0; broken < shape.ranks; ++broken) {
    bool failed = true;
    for (int64_t n = 1; failed; n += kCallStride) {
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
