#include "launcher/temporary_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/fault_filesystem.h"
#include "tests/support/passing_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

TEST(TemporaryCache, IsEachItsOwnAndGoneAfterwards) {
  const TempDir dir("temporary_cache");
  FileSystem& fs = FileSystem::Local();
  const std::string folder = dir.Join("cache");
  {
    auto first = TemporaryCache::Make(fs, folder);
    ASSERT_TRUE(first.ok()) << first.status().ToString();
    const std::string path = (*first)->path();
    EXPECT_TRUE(path.starts_with(folder + "/temporary-")) << path;
    std::filesystem::create_directory(path + "/part-00001");
    const auto second = TemporaryCache::Make(fs, folder);
    ASSERT_TRUE(second.ok()) << second.status().ToString();
    EXPECT_NE((*second)->path(), path);
    EXPECT_TRUE(fs.Exists(path + "/part-00001"));
    *first = nullptr;
    EXPECT_FALSE(fs.Exists(path));
    EXPECT_TRUE(fs.Exists((*second)->path()));
  }
  EXPECT_FALSE(fs.Exists(folder));
}

TEST(TemporaryCache, TakesAlongWhatKilledCommandsLeftAndNothingElse) {
  const TempDir dir("temporary_cache");
  FileSystem& fs = FileSystem::Local();
  const std::string manifest = dir.Write("cache/MANIFEST.json", "{}");
  const std::string users = dir.Write("cache/temporary-1/mine.csv", "a user's");
  for (const char* killed : {"cache/temporary-host-71-1", "cache/temporary-host-72-2"}) {
    dir.Write(std::string(killed) + "/part-00001/left.arrow", "rows");
    dir.Write(std::string(killed) + "/trestle.owner", "");
  }
  { EXPECT_TRUE(TemporaryCache::Make(fs, dir.Join("cache")).ok()); }
  EXPECT_TRUE(fs.Exists(manifest));
  EXPECT_TRUE(fs.Exists(users));
  EXPECT_EQ(fs.List(dir.Join("cache")).value(),
            std::vector<std::string>({"MANIFEST.json", "temporary-1"}));
}

// As this one, which knows no locks.
TEST(TemporaryCache, IsEachItsOwnWhereThereAreNoLocks) {
  const TempDir dir("temporary_cache");
  FaultFileSystem fs(FileSystem::Local(), {});
  ASSERT_EQ(fs.TryLock(dir.Join("lock")).status().code(), StatusCode::kUnsupported);
  auto first = TemporaryCache::Make(fs, dir.Join("cache"));
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  const auto second = TemporaryCache::Make(fs, dir.Join("cache"));
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  *first = nullptr;
  EXPECT_TRUE(fs.Exists((*second)->path()));
}

// Where another process has every lock.
class LockedFileSystem final : public PassingFileSystem {
 public:
  using PassingFileSystem::PassingFileSystem;
  Result<std::unique_ptr<FileLock>> TryLock(const std::string&) override {
    return std::unique_ptr<FileLock>();
  }
};

TEST(TemporaryCache, GivesUpWhereEveryNameIsTaken) {
  const TempDir dir;
  LockedFileSystem fs(FileSystem::Local());
  const auto cache = TemporaryCache::Make(fs, dir.path());
  EXPECT_EQ(cache.status().code(), StatusCode::kIoError);
  EXPECT_THAT(cache.status().ToString(),
              ::testing::StartsWith("cannot make a folder " + dir.path() +
                                    "/temporary-*: all names are taken; remove old ones"));
}

}  // namespace
}  // namespace trestle
