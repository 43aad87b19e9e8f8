#include "base/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

FileSystem& Disk() { return FileSystem::Local(); }

TEST(AtomicFile, IsThereOnceItWasCommitted) {
  const TempDir dir;
  const std::string path = dir.Write("file", "old");
  const std::unique_ptr<AtomicFile> file = AtomicFile::Create(Disk(), path).value();
  const std::string large(3'000'000, 'x');
  ASSERT_TRUE(file->Append("new, ").ok());
  ASSERT_TRUE(file->Append(large).ok());
  EXPECT_EQ(file->bytes(), 3'000'005);
  EXPECT_EQ(Disk().Read(path).value(), "old");
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Disk().Read(path).value(), "new, " + large);
  EXPECT_THAT(Disk().List(dir.path()).value(), ElementsAre("file"));
}

TEST(AtomicFile, OneThatIsDroppedLeavesTheOldFile) {
  const TempDir dir;
  const std::string path = dir.Write("file", "old");
  {
    const auto file = AtomicFile::Create(Disk(), path);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    ASSERT_TRUE((*file)->Append("new").ok());
  }
  EXPECT_EQ(Disk().Read(path).value(), "old");
  EXPECT_THAT(Disk().List(dir.path()).value(), ElementsAre("file"));
}

TEST(WriteFileAtomically, ReplacesTheWhole) {
  const TempDir dir;
  for (const std::string text : {"first", "second", ""}) {
    ASSERT_TRUE(WriteFileAtomically(Disk(), dir.Join("file"), text).ok());
    EXPECT_EQ(Disk().Read(dir.Join("file")).value(), text);
  }
  EXPECT_THAT(Disk().List(dir.path()).value(), ElementsAre("file"));
  const Status status = WriteFileAtomically(Disk(), dir.Join("no/file"), "x");
  EXPECT_THAT(status.ToString(), HasSubstr("no/file"));
}

}  // namespace
}  // namespace trestle
