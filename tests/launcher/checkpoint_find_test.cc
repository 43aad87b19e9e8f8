// What a path means where a checkpoint is wanted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/checkpoint/find.h"
#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/store_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

class FindCheckpointTest : public ::testing::Test {
 protected:
  // A folder that looks like a checkpoint; its manifest is not read.
  void Add(const std::string& name, bool complete) {
    dir_.Write("run/checkpoints/" + name + "/dense.safetensors", "");
    if (complete) dir_.Write("run/checkpoints/" + name + "/MANIFEST.json", "");
  }
  std::string Folder() const { return dir_.Join("run/checkpoints"); }
  Result<std::string> Find(const std::string& path) {
    return FindCheckpoint(FileSystem::Local(), path);
  }
  void ExpectNotFound(const std::string& path, const std::string& text) {
    const auto found = Find(path);
    ASSERT_FALSE(found.ok()) << *found;
    EXPECT_EQ(found.status().code(), StatusCode::kNotFound);
    EXPECT_THAT(found.status().ToString(), HasSubstr(path + ": "));
    EXPECT_THAT(found.status().ToString(), HasSubstr(text));
  }

  TempDir dir_{"find"};
};

TEST_F(FindCheckpointTest, ItselfItsFolderOrItsRun) {
  Add("step-00000010.1", true);
  const std::string expected = Folder() + "/step-00000010.1";
  for (const std::string& path :
       {expected, expected + "/", Folder(), Folder() + "//", dir_.Join("run"), dir_.Join("run/")}) {
    const auto found = Find(path);
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    EXPECT_EQ(*found, expected);
  }
}

TEST_F(FindCheckpointTest, TheNewestIsTheLastStepOfTheLastAttemptThatIsComplete) {
  Add("step-00000030.1", true);
  Add("step-00000010.2", true);
  Add("step-00000020.2", true);
  Add("step-00000040.2", false);
  EXPECT_EQ(Find(dir_.Join("run")).value(), Folder() + "/step-00000020.2");
}

TEST_F(FindCheckpointTest, TheBestIsTheOneThatTheNewestKnowsOf) {
  const auto add = [&](const std::string& name, const std::string& best) {
    Manifest manifest;
    manifest.set_format(kCheckpointFormat);
    manifest.set_name(name);
    if (!best.empty()) manifest.mutable_evaluations()->set_checkpoint(best);
    dir_.Write("run/checkpoints/" + name + "/MANIFEST.json", ManifestText(manifest));
  };
  add("step-00000010.1", "");
  EXPECT_THAT(Find(dir_.Join("run/best")).status().ToString(),
              HasSubstr("step-00000010.1, the newest checkpoint, knows of no best one; train with "
                        "train.keep_best: true"));
  add("step-00000020.1", "step-00000020.1");
  add("step-00000030.1", "step-00000020.1");
  for (const std::string& path : {dir_.Join("run/best"), dir_.Join("run/best/"), Folder() + "/best",
                                  CheckpointArgument("best", Folder())}) {
    const auto found = Find(path);
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    EXPECT_EQ(*found, Folder() + "/step-00000020.1");
  }
  add("step-00000040.1", "step-00000035.1");
  EXPECT_THAT(Find(dir_.Join("run/best")).status().ToString(),
              HasSubstr("step-00000035.1: no such checkpoint"));
  EXPECT_EQ(CheckpointArgument("", Folder()), Folder());
  EXPECT_EQ(CheckpointArgument("x/best", Folder()), "x/best");
}

TEST_F(FindCheckpointTest, ErrorsTellWhatIsThere) {
  ExpectNotFound(dir_.Join("nowhere"), "no such folder");
  dir_.Write("run/config.textproto", "");
  ExpectNotFound(dir_.Join("run"), "no checkpoint in ");
  Add("step-00000010.1", false);
  Add("step-00000020.1", false);
  ExpectNotFound(dir_.Join("run"), "no complete checkpoint in " + Folder() + ", 2 incomplete");
  ExpectNotFound(Folder() + "/step-00000010.1", "incomplete: it has no MANIFEST.json");
  Add("step-00000005.1", true);
  ExpectNotFound(Folder() + "/step-00000010.1", "newest complete one beside it is step-00000005.1");
  ExpectNotFound(Folder() + "/step-00000077.1",
                 "no such checkpoint; the newest complete one beside it is step-00000005.1");
}

TEST_F(FindCheckpointTest, AStoreThatCannotBeOpenedIsNotAMissingFolder) {
  const auto found = FindCheckpoint(*MakeStoreFileSystem(FileSystem::Local()), "gopher://a/run");
  EXPECT_EQ(found.status().code(), StatusCode::kUnsupported) << found.status().ToString();
}

}  // namespace
}  // namespace trestle
