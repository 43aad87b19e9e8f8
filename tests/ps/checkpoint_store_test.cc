// Checkpoints in an object store: Arrow's mock of one, which like S3 shows a file only once it was
// closed.
#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "ps/checkpoint/store_filesystem.h"
#include "tests/ps/checkpoint_files.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

TEST(StoreFileSystem, KeepsPathsOfTheDiskOnTheDisk) {
  const TempDir dir;
  const auto fs = MakeStoreFileSystem(FileSystem::Local());
  ASSERT_TRUE(WriteFileAtomically(*fs, dir.Join("a"), "text").ok());
  EXPECT_EQ(FileSystem::Local().Read(dir.Join("a")).value(), "text");
  EXPECT_FALSE(fs->AppearsWhole(dir.Join("a")));
}

TEST(StoreFileSystem, AFileIsThereOnceItWasClosed) {
  const auto fs = MakeStoreFileSystem(FileSystem::Local());
  ASSERT_TRUE(fs->MakeDirectories("mock://bucket/run").ok());
  const std::string path = "mock://bucket/run/file";
  EXPECT_EQ(fs->Read(path).status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(*fs, path, "whole").ok());
  EXPECT_EQ(fs->List("mock://bucket/run").value(), std::vector<std::string>{"file"});
  EXPECT_EQ(fs->Read(path).value(), "whole");
  EXPECT_EQ(fs->ReadRange(path, 1, 100).value(), "hole");
  EXPECT_EQ(fs->Size(path).value(), 5);
  ASSERT_TRUE(fs->Remove(path).ok());
  EXPECT_FALSE(fs->Exists(path));
  EXPECT_EQ(fs->List("mock://bucket/none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(fs->OpenAppend(path).status().code(), StatusCode::kUnsupported);
}

TEST(StoreFileSystem, AnUnknownSchemeIsRefusedByName) {
  const auto fs = MakeStoreFileSystem(FileSystem::Local());
  const Status status = fs->MakeDirectories("gopher://bucket/run");
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.ToString().find("gopher"), std::string::npos) << status.ToString();
}

TEST(StoreFileSystem, HoldsCheckpointsAndLetsThemGo) {
  const auto fs = MakeStoreFileSystem(FileSystem::Local());
  const std::string folder = "mock://bucket/run/checkpoints";
  EXPECT_EQ(TakeAttempt(*fs, folder).value(), 1);
  EXPECT_EQ(TakeAttempt(*fs, folder).value(), 2);
  std::mt19937_64 random(7);
  PlainCheckpoint model = RandomCheckpoint(random, 50);
  ASSERT_TRUE(WritePlainCheckpoint(*fs, folder, model, {.name = {1, 1}}).ok());
  ASSERT_TRUE(WritePlainCheckpoint(*fs, folder, model, {.name = {2, 2}, .number = 2}).ok());
  for (PlainTable& table : model.tables) ChangeRandomRows(random, &table, 10, 3);
  const auto path = WritePlainCheckpoint(
      *fs, folder, model,
      {.name = {3, 2}, .servers = 3, .number = 3, .base = "step-00000002.2", .base_step = 2});
  ASSERT_TRUE(path.ok()) << path.status().ToString();

  ASSERT_TRUE(RemoveOldCheckpoints(*fs, folder, {.keep = 1}, 2).ok());
  const auto found = ListCheckpoints(*fs, folder);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  ASSERT_EQ(found->size(), 2u);  // the newest and its base
  const auto reader = CheckpointReader::Open(*fs, found->back().path);
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  const Status verified = (*reader)->Verify();
  EXPECT_TRUE(verified.ok()) << verified.ToString();
}

}  // namespace
}  // namespace trestle
