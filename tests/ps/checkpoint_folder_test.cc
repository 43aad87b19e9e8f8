#include "ps/checkpoint/checkpoint_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "ps/checkpoint/checkpoint_reader.h"
#include "ps/checkpoint/manifest.h"
#include "tests/ps/checkpoint_files.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

FileSystem& Disk() { return FileSystem::Local(); }

std::vector<std::string> Names(const std::string& folder) {
  const auto found = ListCheckpoints(Disk(), folder).value();
  std::vector<std::string> names;
  for (const FoundCheckpoint& one : found) names.push_back(one.name.ToString());
  return names;
}

// A folder with one file, with a manifest or without.
void MakeCheckpoint(const TempDir& dir, const CheckpointName& name, int64_t number, bool complete,
                    const std::string& base = "", const std::string& best = "") {
  dir.Write(name.ToString() + "/embedding/t-00000-of-00001.arrow", "rows");
  if (!complete) return;
  Manifest manifest;
  manifest.set_format(kCheckpointFormat);
  manifest.set_name(name.ToString());
  manifest.set_number(number);
  manifest.set_base(base);
  if (!best.empty()) manifest.mutable_evaluations()->set_checkpoint(best);
  dir.Write(name.ToString() + "/" + kManifestName, ManifestText(manifest));
}

TEST(CheckpointName, IsStepAndAttempt) {
  EXPECT_EQ((CheckpointName{12'000, 3}).ToString(), "step-00012000.3");
  EXPECT_EQ((CheckpointName{1'234'567'890, 12}).ToString(), "step-1234567890.12");
  for (const CheckpointName& name :
       {CheckpointName{0, 0}, CheckpointName{99'999'999, 1}, CheckpointName{100'000'000, 10}}) {
    CheckpointName parsed;
    ASSERT_TRUE(CheckpointName::Parse(name.ToString(), &parsed));
    EXPECT_EQ(parsed.ToString(), name.ToString());
  }
  CheckpointName ignored;
  for (const char* text :
       {"", "step-", "step-1.1", "step-00000001", "step-00000001.", "attempt", "step-00000001.x",
        "step-00000001.1.tmp", "step--0000001.1", "step-000000001.1", "step-00000001.01",
        "xstep-00000001.1", "step-99999999999999999999.1", "step-.1"}) {
    EXPECT_FALSE(CheckpointName::Parse(text, &ignored)) << text;
  }
}

TEST(ListCheckpoints, OrdersByAttemptThenStep) {
  TempDir dir;
  EXPECT_TRUE(ListCheckpoints(Disk(), dir.Join("none")).value().empty());
  MakeCheckpoint(dir, {30, 1}, 3, true);
  MakeCheckpoint(dir, {20, 2}, 4, false);
  MakeCheckpoint(dir, {100'000'000, 1}, 2, true);
  MakeCheckpoint(dir, {5, 10}, 5, true);
  dir.Write("attempt", "10\n");
  dir.Write("other/file", "");
  EXPECT_THAT(Names(dir.path()), ElementsAre("step-00000030.1", "step-100000000.1",
                                             "step-00000020.2", "step-00000005.10"));
  const auto found = ListCheckpoints(Disk(), dir.path()).value();
  EXPECT_TRUE(found[0].complete);
  EXPECT_FALSE(found[2].complete);
  EXPECT_EQ(found[2].path, dir.Join("step-00000020.2"));
}

TEST(TakeAttempt, CountsUpAndNeverBelowWhatIsThere) {
  TempDir dir;
  const std::string folder = dir.Join("run/checkpoints");
  EXPECT_EQ(TakeAttempt(Disk(), folder).value(), 1);
  EXPECT_EQ(TakeAttempt(Disk(), folder).value(), 2);
  EXPECT_EQ(Disk().Read(folder + "/attempt").value(), "2\n");
  ASSERT_TRUE(Disk().MakeDirectories(folder + "/step-00000001.7").ok());
  EXPECT_EQ(TakeAttempt(Disk(), folder).value(), 8);
  ASSERT_TRUE(Disk().Remove(folder + "/attempt").ok());
  EXPECT_EQ(TakeAttempt(Disk(), folder).value(), 8) << "from the names alone";
}

TEST(TakeAttempt, ADamagedNumberIsNamed) {
  for (const char* text : {"", "\n", "3", "x\n", "-1\n", "3 \n", "99999999999999999999\n"}) {
    TempDir dir;
    const std::string path = dir.Write("attempt", text);
    const Status status = TakeAttempt(Disk(), dir.path()).status();
    EXPECT_EQ(status.code(), StatusCode::kCorrupt) << text;
    EXPECT_THAT(status.ToString(), HasSubstr(path));
  }
}

// What fails gives no number that could be given again.
TEST(TakeAttempt, SurvivesAFailureAtEveryCall) {
  bool failed = true;
  for (int64_t call = 1; failed; ++call) {
    TempDir dir;
    ASSERT_EQ(TakeAttempt(Disk(), dir.Join("c")).value(), 1);
    FaultFileSystem fs(Disk(), {.fail_call = call, .only_once = true, .short_write = 1});
    const auto second = TakeAttempt(fs, dir.Join("c"));
    failed = fs.calls() >= call;
    EXPECT_EQ(second.ok(), !failed);
    const int64_t next = TakeAttempt(Disk(), dir.Join("c")).value();
    EXPECT_TRUE(next == 3 || (failed && next == 2)) << next;
  }
}

TEST(BeginAnew, WritesDownTheAttemptThatTheTrainingBeganWith) {
  TempDir dir;
  EXPECT_EQ(FirstAttempt(Disk(), dir.path()).value(), 0) << "none began anew";
  EXPECT_EQ(FirstAttempt(Disk(), dir.Join("none")).value(), 0);
  for (const int64_t attempt : {3, 12}) {
    ASSERT_TRUE(BeginAnew(Disk(), dir.path(), attempt).ok());
    EXPECT_EQ(FirstAttempt(Disk(), dir.path()).value(), attempt);
  }
  EXPECT_TRUE(Names(dir.path()).empty());
  dir.Write("first_attempt", "12");
  EXPECT_EQ(FirstAttempt(Disk(), dir.path()).status().code(), StatusCode::kCorrupt) << "cut";
}

// Whichever call fails: the number is the old one or the new one.
TEST(BeginAnew, SurvivesAFailureAtEveryCall) {
  bool failed = true;
  for (int64_t call = 1; failed; ++call) {
    TempDir dir;
    ASSERT_TRUE(BeginAnew(Disk(), dir.path(), 2).ok());
    FaultFileSystem fs(Disk(), {.fail_call = call, .short_write = 1});
    const Status begun = BeginAnew(fs, dir.path(), 13);
    failed = fs.calls() >= call;
    EXPECT_EQ(begun.ok(), !failed);
    const int64_t first = FirstAttempt(Disk(), dir.path()).value();
    EXPECT_TRUE(first == 13 || (failed && first == 2)) << first;
  }
}

TEST(RemoveCheckpoint, RemovesWholeAndPartOnes) {
  TempDir dir;
  std::mt19937_64 random(1);
  const auto whole = WritePlainCheckpoint(Disk(), dir.path(), RandomCheckpoint(random, 3), {});
  ASSERT_TRUE(whole.ok());
  MakeCheckpoint(dir, {2, 1}, 2, false);
  ASSERT_TRUE(Disk().MakeDirectories(dir.Join("step-00000003.1")).ok());
  dir.Write("step-00000004.1/MANIFEST.json.tmp", "{");
  for (const std::string& name : Names(dir.path())) {
    const Status status = RemoveCheckpoint(Disk(), dir.Join(name));
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  EXPECT_TRUE(Disk().List(dir.path())->empty());
  EXPECT_EQ(RemoveCheckpoint(Disk(), dir.Join("step-00000004.1")).code(), StatusCode::kNotFound);
}

// Whichever call fails: either the checkpoint is still whole, or it is none, and a second try ends
// what the first began.
TEST(RemoveCheckpoint, SurvivesAFailureAtEveryCall) {
  std::mt19937_64 random(1);
  const PlainCheckpoint model = RandomCheckpoint(random, 3);
  bool failed = true;
  for (int64_t call = 1; failed; ++call) {
    TempDir dir;
    const auto path = WritePlainCheckpoint(Disk(), dir.path(), model, {.servers = 1});
    ASSERT_TRUE(path.ok());
    FaultFileSystem fs(Disk(), {.fail_call = call});
    const Status status = RemoveCheckpoint(fs, *path);
    failed = fs.calls() >= call;
    EXPECT_EQ(status.ok(), !failed);
    const auto left = ListCheckpoints(Disk(), dir.path()).value();
    if (!left.empty() && left[0].complete) {
      const auto reader = CheckpointReader::Open(Disk(), *path);
      ASSERT_TRUE(reader.ok());
      EXPECT_TRUE((*reader)->Verify().ok());
    }
    EXPECT_TRUE(left.empty() || RemoveCheckpoint(Disk(), *path).ok());
    EXPECT_TRUE(Disk().List(dir.path())->empty());
  }
}

TEST(RemoveCheckpoint, LeavesFoldersThatAreNotOurs) {
  TempDir dir;
  MakeCheckpoint(dir, {1, 1}, 1, false);
  dir.Write("step-00000001.1/mine/notes", "keep");
  const Status status = RemoveCheckpoint(Disk(), dir.Join("step-00000001.1"));
  EXPECT_THAT(status.ToString(), HasSubstr("step-00000001.1/mine"));
  EXPECT_EQ(Disk().Read(dir.Join("step-00000001.1/mine/notes")).value(), "keep");
}

TEST(RemoveOldCheckpoints, KeepsNewestAndEveryKthAndBases) {
  TempDir dir;
  for (int64_t n = 1; n <= 10; ++n) MakeCheckpoint(dir, {n * 10, 1}, n, true);
  MakeCheckpoint(dir, {110, 1}, 11, true, "step-00000050.1");
  ASSERT_TRUE(RemoveOldCheckpoints(Disk(), dir.path(), {.keep = 2, .keep_every = 4}, 1).ok());
  EXPECT_THAT(Names(dir.path()),
              ElementsAre("step-00000040.1", "step-00000050.1", "step-00000080.1",
                          "step-00000100.1", "step-00000110.1"));
}

// Or each k-th would keep one more for ever.
TEST(RemoveOldCheckpoints, EveryKthDoesNotKeepItsBest) {
  TempDir dir;
  for (int64_t n = 1; n <= 8; ++n) {
    MakeCheckpoint(dir, {n, 1}, n, true, "", CheckpointName{(n - 1) / 2 * 2 + 1, 1}.ToString());
  }
  ASSERT_TRUE(RemoveOldCheckpoints(Disk(), dir.path(), {.keep = 1, .keep_every = 4}, 1).ok());
  EXPECT_THAT(Names(dir.path()),
              ElementsAre("step-00000004.1", "step-00000007.1", "step-00000008.1"));
}

// The best one that any of the newest knows of, so that a run resumed there has it still.
TEST(RemoveOldCheckpoints, KeepsTheBestOfEachOfTheNewestAndItsBase) {
  TempDir dir;
  const std::string first = CheckpointName{10, 1}.ToString();
  const std::string second = CheckpointName{30, 1}.ToString();
  const std::string third = CheckpointName{50, 1}.ToString();
  MakeCheckpoint(dir, {10, 1}, 1, true, "", first);
  MakeCheckpoint(dir, {20, 1}, 2, true, "", first);
  MakeCheckpoint(dir, {30, 1}, 3, true, CheckpointName{20, 1}.ToString(), second);
  MakeCheckpoint(dir, {40, 1}, 4, true, "", second);
  MakeCheckpoint(dir, {50, 1}, 5, true, "", third);
  MakeCheckpoint(dir, {60, 1}, 6, true, "", third);
  ASSERT_TRUE(RemoveOldCheckpoints(Disk(), dir.path(), {3, 0}, 1).ok());
  EXPECT_THAT(Names(dir.path()),
              ElementsAre("step-00000020.1", "step-00000030.1", "step-00000040.1",
                          "step-00000050.1", "step-00000060.1"));
  ASSERT_TRUE(RemoveOldCheckpoints(Disk(), dir.path(), {1, 0}, 1).ok());
  EXPECT_THAT(Names(dir.path()), ElementsAre("step-00000050.1", "step-00000060.1"));
}

TEST(RemoveOldCheckpoints, TheNewestStaysWhateverIsAskedFor) {
  TempDir dir;
  MakeCheckpoint(dir, {10, 1}, 1, true);
  MakeCheckpoint(dir, {5, 2}, 2, true);
  ASSERT_TRUE(RemoveOldCheckpoints(Disk(), dir.path(), {.keep = 0}, 3).ok());
  EXPECT_THAT(Names(dir.path()), ElementsAre("step-00000005.2"));
}

TEST(RemoveOldCheckpoints, RemovesIncompleteOnesOfTheDead) {
  TempDir dir;
  MakeCheckpoint(dir, {10, 1}, 1, true);
  for (const int64_t attempt : {1, 2, 3}) MakeCheckpoint(dir, {20, attempt}, 0, false);
  MakeCheckpoint(dir, {30, 2}, 0, false);
  ASSERT_TRUE(RemoveOldCheckpoints(Disk(), dir.path(), {}, 2).ok());
  // Of attempt 3 there may be a job that lives.
  EXPECT_THAT(Names(dir.path()), ElementsAre("step-00000010.1", "step-00000020.3"));
}

// A damaged one is no good one: it stays for a person to look at, and good ones are not removed for
// its sake.
TEST(RemoveOldCheckpoints, ADamagedOneDoesNotCount) {
  TempDir dir;
  for (int64_t n = 1; n <= 4; ++n) MakeCheckpoint(dir, {n, 1}, n, true);
  dir.Write("step-00000004.1/MANIFEST.json", "{}");
  const Status status = RemoveOldCheckpoints(Disk(), dir.path(), {.keep = 2}, 1);
  EXPECT_EQ(status.code(), StatusCode::kCorrupt);
  EXPECT_THAT(status.ToString(), HasSubstr("step-00000004.1/MANIFEST.json"));
  EXPECT_THAT(Names(dir.path()),
              ElementsAre("step-00000002.1", "step-00000003.1", "step-00000004.1"));
}

// Whichever call fails: the newest two and the base of the delta stay whole.
TEST(RemoveOldCheckpoints, SurvivesAFailureAtEveryCall) {
  for (const bool only_once : {false, true}) {
    bool failed = true;
    for (int64_t call = 1; failed; ++call) {
      TempDir dir;
      for (int64_t n = 1; n <= 4; ++n) MakeCheckpoint(dir, {n, 1}, n, true);
      MakeCheckpoint(dir, {5, 1}, 5, true, "step-00000002.1");
      MakeCheckpoint(dir, {6, 1}, 0, false);
      FaultFileSystem fs(Disk(), {.fail_call = call, .only_once = only_once});
      const Status status = RemoveOldCheckpoints(fs, dir.path(), {.keep = 2}, 2);
      failed = fs.calls() >= call;
      EXPECT_EQ(status.ok(), !failed);
      for (const int64_t kept : {2, 4, 5}) {
        const std::string path = dir.Join(CheckpointName{kept, 1}.ToString());
        EXPECT_TRUE(ReadManifest(Disk(), path).ok());
        EXPECT_TRUE(Disk().Exists(path + "/embedding/t-00000-of-00001.arrow"));
      }
      ASSERT_TRUE(RemoveOldCheckpoints(Disk(), dir.path(), {.keep = 2}, 2).ok());
      EXPECT_THAT(Names(dir.path()),
                  ElementsAre("step-00000002.1", "step-00000004.1", "step-00000005.1"));
    }
  }
}

// Against a plain model: a list of what is there, and the rules in the header's words.
struct PlainCheckpoints {
  struct One {
    CheckpointName name;
    int64_t number;
    bool complete;
    std::string base;
  };
  std::vector<One> all;  // in order

  std::vector<size_t> Complete() const {
    std::vector<size_t> complete;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].complete) complete.push_back(i);
    }
    return complete;
  }
  bool IsBaseOfAny(const std::string& name, const std::set<size_t>& of) const {
    return std::any_of(of.begin(), of.end(), [&](size_t i) { return all[i].base == name; });
  }
  void Retain(const Retention& retention, int64_t attempt) {
    const auto complete = Complete();
    std::set<size_t> stay;
    for (size_t back = 1; back <= complete.size(); ++back) {
      const size_t i = complete[complete.size() - back];
      const bool newest = back == 1 || static_cast<int>(back) <= retention.keep;
      const bool kth = retention.keep_every > 0 && all[i].number % retention.keep_every == 0;
      if (newest || kth) stay.insert(i);
    }
    std::vector<One> left;
    for (size_t i = 0; i < all.size(); ++i) {
      const One& one = all[i];
      const bool keep = one.complete ? stay.contains(i) || IsBaseOfAny(one.name.ToString(), stay)
                                     : one.name.attempt > attempt;
      if (keep) left.push_back(one);
    }
    all = left;
  }
};

TEST(RemoveOldCheckpoints, DoesAsAPlainModelDoes) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    TempDir dir;
    PlainCheckpoints model;
    int64_t attempt = 1, step = 0, number = 0;
    for (int round = 0; round < 40; ++round) {
      if (random() % 6 == 0) {
        ++attempt;
        step = std::max<int64_t>(0, step - static_cast<int64_t>(random() % 30));
      }
      step += 1 + static_cast<int64_t>(random() % 10);
      PlainCheckpoints::One one{{step, attempt}, 0, random() % 4 != 0, ""};
      for (const size_t i : model.Complete()) {
        if (one.complete && model.all[i].base.empty() && random() % 4 == 0) {
          one.base = model.all[i].name.ToString();
        }
      }
      if (one.complete) one.number = ++number;
      MakeCheckpoint(dir, one.name, one.number, one.complete, one.base);
      model.all.push_back(one);
      if (random() % 3 != 0) continue;
      const Retention retention{static_cast<int>(random() % 5), static_cast<int>(random() % 4)};
      model.Retain(retention, attempt);
      const Status status = RemoveOldCheckpoints(Disk(), dir.path(), retention, attempt);
      ASSERT_TRUE(status.ok()) << status.ToString();
      std::vector<std::string> expected;
      for (const auto& left : model.all) expected.push_back(left.name.ToString());
      ASSERT_EQ(Names(dir.path()), expected);
    }
  }
}

// Writing a checkpoint beside an older one: whichever call fails, what can be opened is whole.
TEST(CheckpointFolder, AFailureAtAnyCallOfWritingLeavesNoHalfCheckpoint) {
  std::mt19937_64 random(11);
  PlainCheckpoint model = RandomCheckpoint(random, 5);
  model.tables.resize(2);
  bool failed = true;
  for (int64_t call = 1; failed; ++call) {
    TempDir dir;
    ASSERT_TRUE(WritePlainCheckpoint(Disk(), dir.path(), model, {.name = {1, 1}}).ok());
    FaultFileSystem fs(Disk(), {.fail_call = call, .short_write = 7});
    const WriteOptions delta{.name = {2, 1}, .number = 2, .base = "step-00000001.1"};
    const auto written = WritePlainCheckpoint(fs, dir.path(), model, delta);
    failed = fs.calls() >= call;
    EXPECT_EQ(written.ok(), !failed);
    const auto found = ListCheckpoints(Disk(), dir.path()).value();
    for (const FoundCheckpoint& one : found) {
      if (!one.complete) continue;
      const auto reader = CheckpointReader::Open(Disk(), one.path);
      ASSERT_TRUE(reader.ok()) << reader.status().ToString();
      const Status verified = (*reader)->Verify();
      EXPECT_TRUE(verified.ok()) << verified.ToString();
    }
    ASSERT_TRUE(RemoveOldCheckpoints(Disk(), dir.path(), {.keep = 3}, 2).ok());
    const bool whole = Names(dir.path()).size() == 2;
    EXPECT_TRUE(whole || failed) << "what is half written goes";
  }
}

}  // namespace
}  // namespace trestle
