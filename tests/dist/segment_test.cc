// Day by day: a finished training goes on with new files, on any number of ranks and from any
// checkpoint in it, and its ledger has every epoch of every day once. And the other ways to begin:
// over an earlier run, from another model's tables, with more layers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/manifest.h"
#include "tests/support/small_job.h"

namespace trestle {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Segments : public ::testing::Test {
 protected:
  Segments() {
    WriteParquet(day2_, SmallJob::Columns(3000, 11), 1000);
    WriteParquet(day3_, SmallJob::Columns(2100, 29), 700);
  }

  JobResult Run(const Shape& shape, const std::vector<std::string>& more,
                StatusCode code = StatusCode::kOk) const {
    std::vector<std::string> arguments = {"train", config_, "--set",
                                          "cluster.servers=" + std::to_string(shape.servers)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    JobResult result = RunTrestle({shape.ranks, shape.mpirun, arguments});
    EXPECT_EQ(result.process.exit_code, ExitCode(code)) << result.process.output;
    return result;
  }
  // Goes on with the day's file.
  JobResult NextDay(const Shape& shape, const std::string& file, std::vector<std::string> more = {},
                    StatusCode code = StatusCode::kOk, const std::string& from = "latest") const {
    more.insert(more.end(), {"--resume", from, "--next-segment", "--set", "data.train=" + file});
    return Run(shape, more, code);
  }
  std::string folder(const std::string& run) const { return small_.dir().Join(run); }
  std::vector<std::string> In(const std::string& run) const {
    return {"--set", "checkpoint.dir=" + folder(run)};
  }
  std::vector<std::string> Checkpoints(const std::string& run) const {
    std::vector<std::string> paths;
    const auto found = ListCheckpoints(FileSystem::Local(), folder(run) + "/checkpoints");
    EXPECT_TRUE(found.ok());
    for (const FoundCheckpoint& checkpoint : *found) paths.push_back(checkpoint.path);
    return paths;
  }
  Manifest ManifestOf(const std::string& path) const {
    auto manifest = ReadManifest(FileSystem::Local(), path);
    EXPECT_TRUE(manifest.ok()) << manifest.status().ToString();
    return manifest.ok() ? *manifest : Manifest();
  }
  Manifest Newest(const std::string& run) const { return ManifestOf(Checkpoints(run).back()); }

  // Every epoch of each segment once, of all rows of its file, one after the other.
  void ExpectLedger(const Manifest& manifest, const std::vector<int64_t>& rows) const {
    ASSERT_EQ(manifest.ledger_size(), static_cast<int>(2 * rows.size()));
    int64_t step = 0;
    for (int i = 0; i < manifest.ledger_size(); ++i) {
      const LedgerEntry& entry = manifest.ledger(i);
      EXPECT_EQ(entry.segment(), i / 2);
      EXPECT_EQ(entry.epoch(), i % 2);
      EXPECT_EQ(entry.rows_read(), rows[static_cast<size_t>(i / 2)]);
      EXPECT_EQ(entry.first_step(), step);
      EXPECT_EQ(entry.last_step(), step + (entry.rows_read() + 255) / 256);
      step = entry.last_step();
      EXPECT_EQ(entry.files() == manifest.ledger(0).files(), i < 2);
    }
    EXPECT_EQ(manifest.cursor().step(), step);
    EXPECT_EQ(manifest.cursor().segment(), static_cast<int64_t>(rows.size()) - 1);
    EXPECT_TRUE(manifest.finished());
  }

  const SmallJob small_;
  const std::string config_ =
      // The schedule begins anew every day and ends with it.
      small_.Config(
          "train { epochs: 2 }\n"
          "optimizer {\n"
          "  embedding { adam { lr: 0.01 } }\n"
          "  schedule { warmup_steps: 5 cosine { floor: 0.1 } }\n"
          "}\n");
  const std::string day2_ = small_.dir().Join("day2.parquet");
  const std::string day3_ = small_.dir().Join("day3.parquet");
  const std::vector<std::string> often_ = {"--set", "checkpoint.every_steps=5", "--set",
                                           "checkpoint.keep=100"};
};

const std::vector<Shape> kDayShapes = {{1, false, 0}, {3, true, 1}, {2, true, 0}};

TEST_F(Segments, ThreeDaysOnAnyRanksEndWithTheSameModelAndAWholeLedger) {
  std::string digest;
  for (size_t first = 0; first < kDayShapes.size(); ++first) {
    const std::string run = "run" + std::to_string(first);
    Run(kDayShapes[first], In(run));
    NextDay(kDayShapes[(first + 1) % kDayShapes.size()], day2_, In(run));
    const JobResult end = NextDay(kDayShapes[(first + 2) % kDayShapes.size()], day3_, In(run));
    ExpectLedger(Newest(run), {SmallJob::kRows, 3000, 2100});
    if (first == 0) digest = end.digest;
    EXPECT_EQ(end.digest, digest);
    EXPECT_EQ(end.digest.size(), 16u);
  }
}

TEST_F(Segments, ADayThatIsDoneIsNotDoneAgain) {
  Run({1, false, 0}, In("run"));
  const JobResult once = NextDay({2, true, 0}, day2_, In("run"));
  const Manifest before = Newest("run");
  const JobResult again = NextDay({1, false, 0}, day2_, In("run"));
  EXPECT_THAT(again.process.output, HasSubstr("nothing to do"));
  EXPECT_EQ(again.digest, once.digest);
  EXPECT_EQ(Newest("run").SerializeAsString(), before.SerializeAsString());
  std::vector<std::string> limited = In("run");
  limited.insert(limited.end(), {"--set", "train.max_steps=32"});
  const JobResult refused = NextDay({3, true, 1}, day3_, limited, StatusCode::kInvalidConfig);
  EXPECT_THAT(
      refused.process.output,
      HasSubstr("train.max_steps 32 is reached, so that nothing of the next segment would be "
                "trained; raise it"));
}

TEST_F(Segments, ADayGoesOnFromTheMiddle) {
  std::vector<std::string> more = In("run");
  Run({1, false, 0}, more);
  more.insert(more.end(), often_.begin(), often_.end());
  const JobResult alone = NextDay({1, false, 0}, day2_, more);
  const Manifest end = Newest("run");
  int tried = 0;
  const auto checkpoints = Checkpoints("run");
  for (const std::string& path : checkpoints) {
    const Manifest from = ManifestOf(path);
    if (from.attempt() != 2 || from.finished()) continue;
    ++tried;
    const Shape& onto = kDayShapes[static_cast<size_t>(tried) % kDayShapes.size()];
    const JobResult rest = NextDay(onto, day2_, In("other"), StatusCode::kOk, path);
    EXPECT_EQ(rest.digest, alone.digest) << path;
    ExpectLedger(Newest("other"), {SmallJob::kRows, 3000});
    for (int i = 0; i < end.ledger_size(); ++i) {
      EXPECT_EQ(Newest("other").ledger(i).SerializeAsString(), end.ledger(i).SerializeAsString());
    }
  }
  EXPECT_GE(tried, 1);
}

TEST_F(Segments, ADayBeginsWhenTheOneBeforeIsDone) {
  std::vector<std::string> more = In("run");
  more.insert(more.end(), often_.begin(), often_.end());
  Run({1, false, 0}, more);
  const std::string unfinished = Checkpoints("run").front();
  ASSERT_FALSE(ManifestOf(unfinished).finished());
  for (const Shape& shape : kDayShapes) {
    const JobResult refused =
        NextDay(shape, day2_, In("other"), StatusCode::kInvalidConfig, unfinished);
    EXPECT_THAT(refused.process.output, HasSubstr("is in the middle of segment 0"));
    EXPECT_EQ(Count(refused.process.output, "trestle: error"), 1) << refused.process.output;
  }
}

TEST_F(Segments, OtherFilesAreRefusedWithoutTheFlag) {
  Run({1, false, 0}, In("run"));
  std::vector<std::string> more = In("run");
  more.insert(more.end(), {"--resume", "latest", "--set", "data.train=" + day2_});
  const JobResult refused = Run({2, true, 0}, more, StatusCode::kInvalidConfig);
  EXPECT_THAT(refused.process.output,
              AllOf(HasSubstr("train.parquet (4000 rows)"), HasSubstr("day2.parquet (3000 rows)"),
                    HasSubstr("--next-segment")));
}

TEST_F(Segments, AFolderWithAnEarlierRunIsNotBegunAgain) {
  const JobResult first = Run({2, true, 0}, In("run"));
  const auto before = Checkpoints("run");
  for (const Shape& shape : kDayShapes) {
    const JobResult refused = Run(shape, In("run"), StatusCode::kInvalidConfig);
    EXPECT_THAT(refused.process.output, AllOf(HasSubstr("is of an earlier run"),
                                              HasSubstr("--resume latest"), HasSubstr("--fresh")));
    EXPECT_EQ(Count(refused.process.output, "trestle: error"), 1) << refused.process.output;
  }
  EXPECT_EQ(Checkpoints("run"), before);
  std::vector<std::string> fresh = In("run");
  fresh.push_back("--fresh");
  const JobResult over = Run({3, true, 1}, fresh);
  EXPECT_EQ(over.digest, first.digest);
  EXPECT_THAT(Checkpoints("run").back(), Not(HasSubstr(before.back())));
  ExpectLedger(Newest("run"), {SmallJob::kRows});
}

// It ended before its first checkpoint, here for want of a model to warm it: --resume latest begins
// that training again, and does not go on with the one before it.
TEST_F(Segments, AFreshStartThatWroteNothingIsStillTheNewest) {
  const JobResult first = Run({1, false, 0}, In("run"));
  const auto before = Checkpoints("run");
  std::vector<std::string> fresh = In("run");
  fresh.insert(fresh.end(), {"--fresh", "--warm-start", folder("none")});
  Run({2, true, 0}, fresh, StatusCode::kNotFound);
  EXPECT_EQ(Checkpoints("run"), before);
  for (const Shape& shape : kDayShapes) {
    std::filesystem::copy(folder("run"), folder("copy"), std::filesystem::copy_options::recursive);
    std::vector<std::string> latest = In("copy");
    latest.insert(latest.end(), {"--resume", "latest"});
    const JobResult anew = Run(shape, latest);
    EXPECT_THAT(anew.process.output, HasSubstr("starting at the beginning"));
    EXPECT_EQ(anew.digest, first.digest);
    ExpectLedger(Newest("copy"), {SmallJob::kRows});
    EXPECT_GT(Newest("copy").attempt(), 2);
    std::filesystem::remove_all(folder("copy"));
  }
}

TEST_F(Segments, TablesOfAnotherModelWarmItsStart) {
  const JobResult cold = Run({1, false, 0}, In("first"));
  std::string digest;
  for (const Shape& shape : kDayShapes) {
    std::vector<std::string> more = In("warm");
    more.insert(more.end(), {"--fresh", "--warm-start", folder("first"), "--set",
                             "model.din.mlp.units=32", "--set", "tables[user].dim=8"});
    const JobResult warm = Run(shape, more);
    EXPECT_THAT(warm.process.output, HasSubstr("tables item; not, for another dim"));
    if (digest.empty()) digest = warm.digest;
    EXPECT_EQ(warm.digest, digest);
    const Manifest manifest = Newest("warm");
    ASSERT_EQ(manifest.divergences_size(), 1);
    EXPECT_THAT(manifest.divergences(0), AllOf(HasSubstr("warm start"), HasSubstr(" item")));
    ExpectLedger(manifest, {SmallJob::kRows});
  }
  std::vector<std::string> same = In("warm");
  same.insert(same.end(), {"--fresh", "--warm-start", folder("first")});
  EXPECT_NE(Run({1, false, 0}, same).digest, cold.digest);
  same.insert(same.end(), {"--set", "train.seed=5"});
  EXPECT_THAT(Run({2, true, 0}, same, StatusCode::kInvalidConfig).process.output,
              AllOf(HasSubstr("none of its tables"), HasSubstr("user")));
}

// Dice keeps running averages that PReLU has not.
TEST_F(Segments, MoreLayersNeedAFlag) {
  Run({1, false, 0}, In("run"));
  std::vector<std::string> more = In("other");
  more.insert(more.end(), {"--resume", Checkpoints("run").back(), "--set", "train.epochs=3",
                           "--set", "model.din.mlp.activation=DICE"});
  const JobResult refused = Run({2, true, 0}, more, StatusCode::kInvalidConfig);
  EXPECT_THAT(refused.process.output,
              AllOf(HasSubstr("activation: DICE"), HasSubstr("--allow-new")));
  more.insert(more.end(), {"--allow-new"});
  std::string digest;
  for (const Shape& shape : kDayShapes) {
    std::filesystem::remove_all(folder("other"));
    const JobResult run = Run(shape, more);
    EXPECT_THAT(run.process.output, HasSubstr("bits diverge here: step 32: "));
    if (digest.empty()) digest = run.digest;
    EXPECT_EQ(run.digest, digest);
  }
}

}  // namespace
}  // namespace trestle
