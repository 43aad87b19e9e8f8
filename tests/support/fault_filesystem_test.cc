#include "tests/support/fault_filesystem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "base/atomic_file.h"
#include "tests/support/bytes.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

TEST(FaultFileSystem, PassesThroughWithoutFaults) {
  TempDir dir;
  FaultFileSystem fs(FileSystem::Local(), {});
  ASSERT_TRUE(fs.MakeDirectories(dir.Join("a")).ok());
  ASSERT_TRUE(WriteFileAtomically(fs, dir.Join("a/file"), "text").ok());
  EXPECT_EQ(fs.Read(dir.Join("a/file")).value(), "text");
  EXPECT_EQ(fs.Size(dir.Join("a/file")).value(), 4);
  EXPECT_EQ(fs.List(dir.Join("a")).value().size(), 1u);
  EXPECT_EQ(fs.Glob(dir.Join("*/file")).value().size(), 1u);
  EXPECT_TRUE(fs.Exists(dir.Join("a/file")));
  EXPECT_TRUE(fs.Remove(dir.Join("a/file")).ok());
  EXPECT_TRUE(fs.RemoveDirectory(dir.Join("a")).ok());
  // create, append, sync, close, rename, sync folder; and the seven around them that can fail.
  EXPECT_EQ(fs.calls(), 13);
}

// Whichever call fails, a reader sees the old file or the new one, and the writer is told.
TEST(FaultFileSystem, AtomicWriteSurvivesAFailureAtEveryCall) {
  int64_t call = 0;
  for (bool failed = true; failed;) {
    TempDir dir;
    const std::string path = dir.Write("file", "old");
    FaultFileSystem fs(FileSystem::Local(), {.fail_call = ++call, .short_write = 1});
    const Status status = WriteFileAtomically(fs, path, "new text");
    failed = fs.calls() >= call;
    EXPECT_EQ(status.ok(), !failed);
    if (failed) {
      EXPECT_EQ(status.code(), StatusCode::kIoError);
      EXPECT_THAT(status.ToString(), HasSubstr("call " + std::to_string(call) + " ("));
    }
    const std::string text = FileSystem::Local().Read(path).value();
    EXPECT_TRUE(text == "old" || text == "new text") << text;
  }
  EXPECT_EQ(call, 7) << "six calls can fail";
}

TEST(FaultFileSystem, FailsOnceOrForEver) {
  TempDir dir;
  const std::string path = dir.Write("file", "text");
  FaultFileSystem once(FileSystem::Local(), {.fail_call = 2, .only_once = true});
  FaultFileSystem for_ever(FileSystem::Local(), {.fail_call = 2});
  for (int call = 1; call <= 4; ++call) {
    EXPECT_EQ(once.Read(path).ok(), call != 2);
    EXPECT_EQ(for_ever.Read(path).ok(), call < 2);
  }
}

TEST(FaultFileSystem, WritesShort) {
  TempDir dir;
  FaultFileSystem fs(FileSystem::Local(), {.fail_call = 2, .short_write = 3});
  auto file = fs.Create(dir.Join("file"));
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE((*file)->Append(Bytes("abcdef")).ok());
  EXPECT_EQ(FileSystem::Local().Read(dir.Join("file")).value(), "abc");
}

TEST(FaultFileSystem, FillsUp) {
  TempDir dir;
  FaultFileSystem fs(FileSystem::Local(), {.capacity = 10});
  auto file = fs.Create(dir.Join("file"));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->Append(Bytes("12345678")).ok());
  const Status full = (*file)->Append(Bytes("abcd"));
  EXPECT_THAT(full.ToString(), HasSubstr("no space left"));
  EXPECT_THAT(full.ToString(), HasSubstr(dir.Join("file")));
  EXPECT_FALSE((*file)->Append(Bytes("x")).ok());
  EXPECT_EQ(FileSystem::Local().Read(dir.Join("file")).value(), "12345678ab");
}

}  // namespace
}  // namespace trestle
