#include "launcher/temporary_cache.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

TEST(TemporaryCache, IsEmptyEachItsOwnAndGoneAfterwards) {
  const TempDir dir("temporary_cache");
  FileSystem& fs = FileSystem::Local();
  const std::string folder = dir.Join("cache");
  dir.Write("cache/temporary-1/part-00001/left.arrow", "by a command that was killed");
  {
    auto first = TemporaryCache::Make(fs, folder);
    ASSERT_TRUE(first.ok()) << first.status().ToString();
    EXPECT_EQ((*first)->path(), folder + "/temporary-1");
    EXPECT_FALSE(fs.Exists(folder + "/temporary-1/part-00001"));
    dir.Write("cache/temporary-1/part-00001/new.arrow", "rows");
    const auto second = TemporaryCache::Make(fs, folder);
    ASSERT_TRUE(second.ok()) << second.status().ToString();
    EXPECT_EQ((*second)->path(), folder + "/temporary-2");
    EXPECT_TRUE(fs.Exists(folder + "/temporary-1/part-00001/new.arrow"));
    *first = nullptr;
    EXPECT_FALSE(fs.Exists(folder + "/temporary-1"));
    EXPECT_TRUE(fs.Exists(folder + "/temporary-2"));
  }
  EXPECT_FALSE(fs.Exists(folder));
}

TEST(TemporaryCache, LeavesTheConfigsOwnImports) {
  const TempDir dir("temporary_cache");
  const std::string manifest = dir.Write("cache/MANIFEST.json", "{}");
  { const auto cache = TemporaryCache::Make(FileSystem::Local(), dir.Join("cache")); }
  EXPECT_TRUE(FileSystem::Local().Exists(manifest));
  EXPECT_FALSE(FileSystem::Local().Exists(dir.Join("cache/temporary-1")));
}

}  // namespace
}  // namespace trestle
