// A crash behind every single change to the disk while checkpoints are written and old ones go,
// with all, none or some of what was not yet durable lost: the checkpoint that loads is the new
// one or the one before, with the right rows.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "tests/ps/checkpoint_files.h"
#include "tests/support/recording_filesystem.h"
#include "tests/support/sanitizers.h"

namespace trestle {
namespace {

constexpr char kFolder[] = "/run/checkpoints";

const std::vector<Crash> kCrashes = {
    {NotDurable::kLost, NotDurable::kLost},        {NotDurable::kLost, NotDurable::kKept},
    {NotDurable::kKept, NotDurable::kLost},        {NotDurable::kKept, NotDurable::kKept},
    {NotDurable::kRandom, NotDurable::kRandom, 1}, {NotDurable::kRandom, NotDurable::kRandom, 2},
    {NotDurable::kRandom, NotDurable::kRandom, 3}};

std::string Text(const Crash& crash) {
  const char* names[] = {"lost", "kept", "random"};
  return std::string("data ") + names[static_cast<int>(crash.data)] + ", names " +
         names[static_cast<int>(crash.names)] + ", seed " + std::to_string(crash.seed);
}

// The complete checkpoint that `--resume latest` looks at first.
Result<std::string> Newest(FileSystem& fs) {
  TRESTLE_ASSIGN_OR_RETURN(const auto found, ListCheckpoints(fs, kFolder));
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    if (it->complete) return it->path;
  }
  return Status(StatusCode::kNotFound, "no checkpoint");
}

// Every row and tensor is as the model has it.
void ExpectHolds(FileSystem& fs, const std::string& path, const PlainCheckpoint& model) {
  const auto reader = CheckpointReader::Open(fs, path);
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  for (const PlainTable& table : model.tables) {
    PlainRows rows;
    const Status read =
        (*reader)->ForEachRow(table.name, 0, kPartitions, [&](const RowView& row) -> Status {
          EXPECT_TRUE(rows.emplace(Mix64(row.key.value), PlainRow::Of(row)).second) << "twice";
          return {};
        });
    ASSERT_TRUE(read.ok()) << read.ToString();
    EXPECT_TRUE(rows == table.rows) << path << ": other rows in " << table.name;
  }
  const auto dense = (*reader)->Dense();
  ASSERT_TRUE(dense.ok()) << dense.status().ToString();
  // A manifest that was being written again is no file of the checkpoint.
  if (fs.Exists(path + "/MANIFEST.json.tmp")) return;
  const Status verified = (*reader)->Verify();
  EXPECT_TRUE(verified.ok()) << verified.ToString();
}

constexpr int64_t kCrashStride = kSanitized ? 17 : 1;  // of the changes every so-many-th is the last

// A run that writes checkpoints to a recording filesystem, and what it was when.
class CrashedRun {
 public:
  CrashedRun() {
    EXPECT_TRUE(fs_.MakeDirectories("/run").ok());
    EXPECT_TRUE(fs_.SyncDirectory("/").ok());
    model_ = RandomCheckpoint(random_, 6);
  }

  // As the trainer does: write, then let old ones go. `base` of a delta; empty: full.
  void Write(int64_t step, int keep, const std::string& base = "", int64_t base_step = 0) {
    for (PlainTable& table : model_.tables) {
      ChangeRandomRows(random_, &table, 2, step);
      AddRandomRows(random_, &table, 1, step);
    }
    WriteOptions options;
    options.name = {step, attempt_};
    options.number = ++number_;
    options.base = base;
    options.base_step = base_step;
    const int64_t begin = fs_.operations();
    const auto path = WritePlainCheckpoint(fs_, kFolder, model_, options);
    ASSERT_TRUE(path.ok()) << path.status().ToString();
    written_.push_back({begin, fs_.operations(), *path, model_});
    const Status removed = RemoveOldCheckpoints(fs_, kFolder, {keep, 0}, attempt_);
    EXPECT_TRUE(removed.ok()) << removed.ToString();
  }
  void Start() {
    auto attempt = TakeAttempt(fs_, kFolder);
    ASSERT_TRUE(attempt.ok()) << attempt.status().ToString();
    attempt_ = *attempt;
  }
  // The newest checkpoint's manifest is written again: the training has ended there.
  void Restate() {
    Manifest manifest = *ReadManifest(fs_, written_.back().path);
    manifest.set_finished(true);
    EXPECT_TRUE(WriteManifest(fs_, written_.back().path, manifest).ok());
  }

  // Crashes everywhere and looks what is found.
  void CrashEverywhere() const {
    ASSERT_GT(fs_.operations(), 50);
    for (int64_t n = 0; n <= fs_.operations(); n += kCrashStride) {
      for (const Crash& crash : kCrashes) {
        SCOPED_TRACE("crash behind change " + std::to_string(n) + " of " +
                     std::to_string(fs_.operations()) + (n > 0 ? ", " + fs_.Describe(n - 1) : "") +
                     "; " + Text(crash));
        ExpectOneOfTwo(*fs_.AfterCrash(n, crash), n);
        if (testing::Test::HasFailure()) return;
      }
    }
  }

  // After a crash anywhere the next start writes a checkpoint, and clears up.
  void CrashAndGoOnEverywhere() const {
    for (int64_t n = 0; n <= fs_.operations(); n += kCrashStride) {
      SCOPED_TRACE("crash behind change " + std::to_string(n));
      const auto disk =
          fs_.AfterCrash(n, {NotDurable::kRandom, NotDurable::kRandom, static_cast<uint64_t>(n)});
      if (!disk->Exists("/run")) continue;
      const auto attempt = TakeAttempt(*disk, kFolder);
      ASSERT_TRUE(attempt.ok()) << attempt.status().ToString();
      WriteOptions options;
      options.name = {1000, *attempt};
      options.number = 1000;
      const auto path = WritePlainCheckpoint(*disk, kFolder, model_, options);
      ASSERT_TRUE(path.ok()) << path.status().ToString();
      const Status removed = RemoveOldCheckpoints(*disk, kFolder, {1, 0}, *attempt);
      EXPECT_TRUE(removed.ok()) << removed.ToString();
      const auto left = *ListCheckpoints(*disk, kFolder);
      ASSERT_EQ(left.size(), 1u);
      EXPECT_EQ(left[0].path, *path);
      ExpectHolds(*disk, *path, model_);
      if (testing::Test::HasFailure()) return;
    }
  }

  int64_t attempt() const { return attempt_; }

 private:
  struct Written {
    int64_t begin, end;  // changes (begin, end] wrote it
    std::string path;
    PlainCheckpoint model;
  };

  void ExpectOneOfTwo(RecordingFileSystem& disk, int64_t n) const {
    const Written *complete = nullptr, *begun = nullptr;
    for (const Written& one : written_) {
      if (one.end <= n) complete = &one;
      if (one.begin <= n && n < one.end) begun = &one;
    }
    ExpectNoHalfRemoved(disk);
    const auto path = Newest(disk);
    if (!path.ok()) {
      EXPECT_EQ(complete, nullptr) << path.status().ToString();
      return;
    }
    const Written* found = nullptr;
    for (const Written* one : {complete, begun}) {
      if (one && one->path == *path) found = one;
    }
    ASSERT_NE(found, nullptr) << *path << " is neither the new one nor the one before";
    ExpectHolds(disk, *path, found->model);
  }

  // A checkpoint that is going is none before its files go. (A delta may outlive its base for the
  // moment in which both are removed.)
  static void ExpectNoHalfRemoved(RecordingFileSystem& disk) {
    const auto listed = ListCheckpoints(disk, kFolder);
    ASSERT_TRUE(listed.ok()) << listed.status().ToString();
    for (const FoundCheckpoint& checkpoint : *listed) {
      if (!checkpoint.complete) continue;
      const auto manifest = ReadManifest(disk, checkpoint.path);
      ASSERT_TRUE(manifest.ok()) << manifest.status().ToString();
      const std::string base = kFolder + ("/" + manifest->base()) + "/MANIFEST.json";
      if (!manifest->base().empty() && !disk.Exists(base)) continue;
      const auto reader = CheckpointReader::Open(disk, checkpoint.path);
      EXPECT_TRUE(reader.ok()) << reader.status().ToString();
    }
  }

  RecordingFileSystem fs_;
  std::mt19937_64 random_{20};
  PlainCheckpoint model_;
  int64_t attempt_ = 0;
  int64_t number_ = 0;
  std::vector<Written> written_;
};

TEST(CheckpointCrash, FullCheckpointsWithRetention) {
  CrashedRun run;
  run.Start();
  run.Write(10, 1);
  run.Write(20, 1);
  run.Start();
  run.Write(15, 1);  // resumed at 10, say
  run.Restate();
  run.CrashEverywhere();
}

TEST(CheckpointCrash, DeltasAndTheirBases) {
  CrashedRun run;
  run.Start();
  run.Write(10, 1);
  run.Write(20, 1, "step-00000010.1", 10);
  run.Write(30, 1, "step-00000010.1", 10);
  run.Write(40, 1);  // now the base and its delta go
  run.CrashEverywhere();
}

TEST(CheckpointCrash, TheNextStartClearsUpWhatACrashLeft) {
  CrashedRun run;
  run.Start();
  run.Write(10, 2);
  run.Write(20, 2, "step-00000010.1", 10);
  run.Write(30, 2);
  run.Write(40, 2);
  run.CrashAndGoOnEverywhere();
}

}  // namespace
}  // namespace trestle
