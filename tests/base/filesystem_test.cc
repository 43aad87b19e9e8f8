#include "base/filesystem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <span>
#include <string>
#include <vector>

#include "tests/support/fault_filesystem.h"
#include "tests/support/recording_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class LocalFileSystemTest : public ::testing::Test {
 protected:
  TempDir dir_;
  FileSystem& fs_ = FileSystem::Local();

  void Write(const std::string& name, std::string_view text) {
    auto file = fs_.Create(dir_.Join(name));
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    ASSERT_TRUE((*file)->Append(Bytes(text)).ok());
    ASSERT_TRUE((*file)->Sync().ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
};

TEST_F(LocalFileSystemTest, ReadsWhatWasWritten) {
  const std::string text = std::string(200'000, 'x') + '\0' + "end";
  Write("file", text);
  EXPECT_EQ(fs_.Read(dir_.Join("file")).value(), text);
  EXPECT_EQ(fs_.Size(dir_.Join("file")).value(), static_cast<int64_t>(text.size()));
  EXPECT_TRUE(fs_.Exists(dir_.Join("file")));
}

TEST_F(LocalFileSystemTest, CreateTruncatesAndOpenAppendDoesNot) {
  Write("file", "long old text");
  Write("file", "new");
  EXPECT_EQ(fs_.Read(dir_.Join("file")).value(), "new");
  auto file = fs_.OpenAppend(dir_.Join("file"));
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Append(Bytes(" and more")).ok());
  ASSERT_TRUE((*file)->Close().ok());
  EXPECT_EQ(fs_.Read(dir_.Join("file")).value(), "new and more");
}

TEST_F(LocalFileSystemTest, ErrorsNameThePathAndTheReason) {
  const std::string missing = dir_.Join("no/file");
  for (const Status& status :
       {fs_.Read(missing).status(), fs_.Size(missing).status(), fs_.Create(missing).status(),
        fs_.OpenAppend(missing).status(), fs_.Remove(missing), fs_.Rename(missing, dir_.Join("x")),
        fs_.SyncDirectory(missing), fs_.List(missing).status()}) {
    EXPECT_EQ(status.code(), StatusCode::kNotFound);
    EXPECT_THAT(status.ToString(), HasSubstr(missing));
    EXPECT_THAT(status.ToString(), HasSubstr("No such file or directory"));
  }
  EXPECT_FALSE(fs_.Exists(missing));
  Write("plain", "");
  const Status status = fs_.MakeDirectories(dir_.Join("plain/folder"));
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_THAT(status.ToString(), HasSubstr("plain/folder"));
  EXPECT_EQ(fs_.Read(dir_.path()).status().code(), StatusCode::kIoError) << "a folder is no file";
}

TEST_F(LocalFileSystemTest, MakesRenamesRemovesAndLists) {
  ASSERT_TRUE(fs_.MakeDirectories(dir_.Join("a/b/c")).ok());
  ASSERT_TRUE(fs_.MakeDirectories(dir_.Join("a/b/c")).ok()) << "again is no error";
  Write("a/z", "1");
  Write("a/y", "2");
  ASSERT_TRUE(fs_.Rename(dir_.Join("a/z"), dir_.Join("a/y")).ok()) << "over an existing file";
  EXPECT_EQ(fs_.Read(dir_.Join("a/y")).value(), "1");
  Write("a/a", "");
  EXPECT_EQ(fs_.List(dir_.Join("a")).value(), (std::vector<std::string>{"a", "b", "y"}));
  ASSERT_TRUE(fs_.Remove(dir_.Join("a/a")).ok());
  EXPECT_EQ(fs_.List(dir_.Join("a")).value(), (std::vector<std::string>{"b", "y"}));
  EXPECT_TRUE(fs_.SyncDirectory(dir_.Join("a")).ok());
}

TEST_F(LocalFileSystemTest, RemovesEmptyFoldersAlone) {
  ASSERT_TRUE(fs_.MakeDirectories(dir_.Join("a/b")).ok());
  const Status full = fs_.RemoveDirectory(dir_.Join("a"));
  EXPECT_EQ(full.code(), StatusCode::kIoError);
  EXPECT_THAT(full.ToString(), HasSubstr("cannot remove folder " + dir_.Join("a")));
  ASSERT_TRUE(fs_.RemoveDirectory(dir_.Join("a/b")).ok());
  ASSERT_TRUE(fs_.RemoveDirectory(dir_.Join("a")).ok());
  EXPECT_FALSE(fs_.Exists(dir_.Join("a")));
  EXPECT_EQ(fs_.RemoveDirectory(dir_.Join("a")).code(), StatusCode::kNotFound);
  Write("file", "");
  EXPECT_EQ(fs_.RemoveDirectory(dir_.Join("file")).code(), StatusCode::kIoError);
}

TEST_F(LocalFileSystemTest, GlobSortsAndKnowsPlainNames) {
  for (const std::string name : {"b-2.parquet", "b-1.parquet", "a.parquet", "c.csv"})
    Write(name, "");
  EXPECT_EQ(fs_.Glob(dir_.Join("*.parquet")).value(),
            (std::vector<std::string>{dir_.Join("a.parquet"), dir_.Join("b-1.parquet"),
                                      dir_.Join("b-2.parquet")}));
  EXPECT_EQ(fs_.Glob(dir_.Join("b-[12].parquet")).value().size(), 2u);
  EXPECT_EQ(fs_.Glob(dir_.Join("c.csv")).value(), (std::vector<std::string>{dir_.Join("c.csv")}));
  EXPECT_TRUE(fs_.Glob(dir_.Join("d*")).value().empty());
  EXPECT_TRUE(fs_.Glob(dir_.Join("d.csv")).value().empty());
}

// A link to itself is a folder that nobody can read, not even root.
TEST_F(LocalFileSystemTest, GlobAndListNameAFolderThatCannotBeRead) {
  const std::string loop = dir_.Join("loop");
  ASSERT_EQ(symlink("loop", loop.c_str()), 0);
  Write("a.parquet", "");
  for (const Status& status : {fs_.Glob(loop + "/*.parquet").status(), fs_.List(loop).status()}) {
    EXPECT_EQ(status.code(), StatusCode::kIoError);
    EXPECT_THAT(status.ToString(), HasSubstr("cannot list " + loop + ": "));
  }
  EXPECT_EQ(fs_.Glob(dir_.Join("*.parquet")).value().size(), 1u) << "a later search is not spoiled";
  EXPECT_TRUE(fs_.Glob(dir_.Join("missing/*.parquet")).value().empty());
  EXPECT_TRUE(fs_.Glob(dir_.Join("a.parquet/*")).value().empty());
}

TEST_F(LocalFileSystemTest, ALockIsHeldAsLongAsItLives) {
  const std::string path = dir_.Join("lock");
  auto first = fs_.TryLock(path);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  ASSERT_NE(*first, nullptr);
  EXPECT_EQ(fs_.TryLock(path).value(), nullptr);
  Write("lock", "who holds it");  // which does not lose it
  EXPECT_EQ(fs_.TryLock(path).value(), nullptr);
  first->reset();
  EXPECT_NE(fs_.TryLock(path).value(), nullptr);
  EXPECT_THAT(fs_.TryLock(dir_.Join("no/lock")).status().ToString(), HasSubstr("no/lock"));
}

TEST(MakeDurableDirectories, WhatItMadeSurvivesACrash) {
  RecordingFileSystem fs;
  ASSERT_TRUE(MakeDurableDirectories(fs, "/a/b/c").ok());
  EXPECT_TRUE(fs.AfterCrash(fs.operations(), {})->Exists("/a/b/c"));
}

TEST(MakeDurableDirectories, SyncsOnlyTheParentsOfNewFolders) {
  const TempDir dir;
  const auto calls = [&](const std::string& name) {
    FaultFileSystem fs(FileSystem::Local(), {});
    EXPECT_TRUE(MakeDurableDirectories(fs, dir.Join(name)).ok());
    return fs.calls();
  };
  EXPECT_EQ(calls("a"), 1 + 1);
  EXPECT_EQ(calls("a/b/c/"), 1 + 2);
  EXPECT_EQ(calls("a/b/c"), 1) << "all there";
}

}  // namespace
}  // namespace trestle
