#include "tests/support/recording_filesystem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <span>
#include <string>

#include "base/atomic_file.h"
#include "tests/support/bytes.h"

namespace trestle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Crash kAllLost{NotDurable::kLost, NotDurable::kLost};
constexpr Crash kAllKept{NotDurable::kKept, NotDurable::kKept};
constexpr Crash kDataLost{NotDurable::kLost, NotDurable::kKept};
constexpr Crash kNamesLost{NotDurable::kKept, NotDurable::kLost};

void Write(FileSystem& fs, const std::string& path, std::string_view text, bool sync = false) {
  auto file = fs.Create(path);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  ASSERT_TRUE((*file)->Append(Bytes(text)).ok());
  if (sync) {
    ASSERT_TRUE((*file)->Sync().ok());
  }
  ASSERT_TRUE((*file)->Close().ok());
}

// "" also for a file that is not there.
std::string TextAfter(const RecordingFileSystem& fs, const Crash& crash, const std::string& path) {
  auto text = fs.AfterCrash(fs.operations(), crash)->Read(path);
  return text.ok() ? *text : "";
}

TEST(RecordingFileSystem, IsAFileSystem) {
  RecordingFileSystem fs;
  ASSERT_TRUE(fs.MakeDirectories("/a/b").ok());
  Write(fs, "/a/b/one", "text");
  EXPECT_EQ(*fs.Read("/a/b/one"), "text");
  EXPECT_EQ(*fs.ReadRange("/a/b/one", 1, 2), "ex");
  EXPECT_EQ(*fs.Size("/a/b/one"), 4);
  ASSERT_TRUE((*fs.OpenAppend("/a/b/one"))->Append(Bytes("s")).ok());
  EXPECT_TRUE(fs.Rename("/a/b/one", "/a/two").ok());
  EXPECT_EQ(*fs.Read("/a/two"), "texts");
  EXPECT_THAT(*fs.List("/a"), ElementsAre("b", "two"));
  EXPECT_THAT(*fs.List("/a/b"), IsEmpty());
  EXPECT_THAT(*fs.Glob("/a/t*"), ElementsAre("/a/two"));
  EXPECT_TRUE(fs.Exists("/a/b"));
  EXPECT_TRUE(fs.Remove("/a/two").ok());
  EXPECT_EQ(fs.Read("/a/two").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(fs.Create("/nowhere/file").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(fs.Remove("/a/b").code(), StatusCode::kIoError);
  EXPECT_EQ(fs.RemoveDirectory("/a").code(), StatusCode::kIoError);
  EXPECT_EQ(fs.Describe(0), "make folder /a");
  EXPECT_EQ(fs.Describe(fs.operations() - 1), "remove /a/two");
  EXPECT_TRUE(fs.RemoveDirectory("/a/b").ok());
  EXPECT_FALSE(fs.Exists("/a/b"));
}

TEST(RecordingFileSystem, DataIsDurableOnceSynced) {
  RecordingFileSystem fs;
  Write(fs, "/file", "old", true);
  ASSERT_TRUE(fs.SyncDirectory("/").ok());
  auto file = fs.OpenAppend("/file");
  ASSERT_TRUE((*file)->Append(Bytes(" new")).ok());
  EXPECT_EQ(TextAfter(fs, kAllLost, "/file"), "old");
  EXPECT_EQ(TextAfter(fs, kAllKept, "/file"), "old new");
  ASSERT_TRUE((*file)->Sync().ok());
  EXPECT_EQ(TextAfter(fs, kAllLost, "/file"), "old new");
  Write(fs, "/file", "x");  // truncates: the old text may come back
  EXPECT_EQ(TextAfter(fs, kAllLost, "/file"), "old new");
  EXPECT_EQ(TextAfter(fs, kAllKept, "/file"), "x");
}

TEST(RecordingFileSystem, ANameIsDurableOnceItsFolderIsSynced) {
  RecordingFileSystem fs;
  ASSERT_TRUE(fs.MakeDirectories("/run").ok());
  Write(fs, "/run/file", "text", true);
  EXPECT_EQ(TextAfter(fs, kNamesLost, "/run/file"), "");
  ASSERT_TRUE(fs.SyncDirectory("/run").ok());
  EXPECT_EQ(TextAfter(fs, kNamesLost, "/run/file"), "") << "the folder's own name is not durable";
  ASSERT_TRUE(fs.SyncDirectory("/").ok());
  EXPECT_EQ(TextAfter(fs, kAllLost, "/run/file"), "text");

  ASSERT_TRUE(fs.Rename("/run/file", "/run/other").ok());
  EXPECT_EQ(TextAfter(fs, kNamesLost, "/run/file"), "text");
  EXPECT_EQ(TextAfter(fs, kNamesLost, "/run/other"), "");
  EXPECT_EQ(TextAfter(fs, kDataLost, "/run/other"), "text");
  ASSERT_TRUE(fs.Remove("/run/other").ok());
  EXPECT_EQ(TextAfter(fs, kNamesLost, "/run/file"), "text");
  ASSERT_TRUE(fs.SyncDirectory("/run").ok());
  EXPECT_THAT(*fs.AfterCrash(fs.operations(), kAllLost)->List("/run"), IsEmpty());
}

TEST(RecordingFileSystem, ARenameOfUnsyncedDataLeavesAnEmptyFile) {
  RecordingFileSystem fs;
  Write(fs, "/file.tmp", "text");
  ASSERT_TRUE(fs.Rename("/file.tmp", "/file").ok());
  const auto found = fs.AfterCrash(fs.operations(), kDataLost);
  EXPECT_EQ(*found->Read("/file"), "");
  EXPECT_FALSE(found->Exists("/file.tmp"));
}

// Every prefix of an atomic write, in every way: the old text or the new one.
TEST(RecordingFileSystem, AnAtomicWriteIsAtomic) {
  RecordingFileSystem fs;
  ASSERT_TRUE(WriteFileAtomically(fs, "/file", "old").ok());
  const int64_t begin = fs.operations();
  ASSERT_TRUE(WriteFileAtomically(fs, "/file", "new text").ok());
  std::set<std::string> texts;
  for (int64_t n = begin; n <= fs.operations(); ++n) {
    for (const NotDurable data : {NotDurable::kLost, NotDurable::kKept, NotDurable::kRandom}) {
      for (const NotDurable names : {NotDurable::kLost, NotDurable::kKept, NotDurable::kRandom}) {
        for (uint64_t seed = 0; seed < 8; ++seed) {
          texts.insert(fs.AfterCrash(n, {data, names, seed})->Read("/file").value());
        }
      }
    }
  }
  EXPECT_THAT(texts, ElementsAre("new text", "old"));
}

TEST(RecordingFileSystem, ARandomCrashKeepsAnyPartOfTheData) {
  RecordingFileSystem fs;
  Write(fs, "/file", "abc");
  std::set<std::string> texts;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    texts.insert(TextAfter(fs, {NotDurable::kRandom, NotDurable::kKept, seed}, "/file"));
  }
  for (const std::string& text : {std::string(""), std::string("a"), std::string("ab"),
                                  std::string("abc"), std::string("a\0c", 3)}) {
    EXPECT_TRUE(texts.contains(text)) << text;
  }
}

TEST(RecordingFileSystem, ACrashedDiskGoesOn) {
  RecordingFileSystem fs;
  ASSERT_TRUE(WriteFileAtomically(fs, "/file", "one").ok());
  const auto second = fs.AfterCrash(fs.operations(), kAllLost);
  EXPECT_EQ(second->operations(), 0);
  ASSERT_TRUE(WriteFileAtomically(*second, "/file", "two").ok());
  EXPECT_EQ(TextAfter(*second, kAllLost, "/file"), "two");
  EXPECT_EQ(*second->AfterCrash(0, kAllKept)->Read("/file"), "one");
  EXPECT_EQ(*fs.Read("/file"), "one");
}

}  // namespace
}  // namespace trestle
