// What ends an import from outside: another one that hangs, a file that is still written to, a
// changed manifest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <utility>

#include "base/filesystem.h"
#include "tests/support/passing_filesystem.h"
#include "tests/worker/import_fixture.h"
#include "worker/import/cache.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

// Where another process has every lock.
class LockedFileSystem final : public PassingFileSystem {
 public:
  using PassingFileSystem::PassingFileSystem;
  Result<std::unique_ptr<FileLock>> TryLock(const std::string&) override {
    return std::unique_ptr<FileLock>();
  }
};

TEST(ImportCache, OneThatIsNotLetGoInADayIsAnError) {
  LockedFileSystem fs(FileSystem::Local());
  std::chrono::milliseconds slept{0};
  int said = 0;
  const auto second = LockCache(
      fs, "data/cache/x", [&](const std::string&) { ++said; },
      [&](std::chrono::milliseconds time) { slept += time; });
  EXPECT_EQ(second.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(second.status().ToString(),
            "another import into data/cache/x has not ended in a day; end it, or set another "
            "data.cache");
  EXPECT_GE(slept, std::chrono::hours(24));
  EXPECT_EQ(said, 1) << "that it waits";
}

TEST_F(ImportTest, AFileThatIsWrittenToMeanwhileIsRefused) {
  const std::string path = dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  PrepareOptions options;
  options.threads = 1;
  options.memory_bytes = int64_t{256} << 20;
  bool written = false;
  options.progress = [&](const ImportProgress&) {
    if (std::exchange(written, true)) return;
    std::ofstream(path, std::ios::app) << NumberedCsv(1).substr(NumberedCsv(0).size());
  };
  const auto input = PrepareInput(schema_, data_, options, FileSystem::Local());
  EXPECT_EQ(input.status().code(), StatusCode::kInvalidData);
  EXPECT_THAT(input.status().ToString(),
              HasSubstr(path + ": changed while it was imported; import it when it is complete"));
  MustPrepare();  // now it is
}

TEST_F(ImportTest, AChangedManifestSaysHowToGoOn) {
  dir_.Write("in/a.csv", NumberedCsv(10));
  Configure(kNumberedData, kNumberedFeatures);
  MustPrepare();
  const std::string path = dir_.Join("cache/MANIFEST.json");
  std::string text = FileSystem::Local().Read(path).value();
  text[text.find("\"rows\": \"10\"") + 9] = '2';
  dir_.Write("cache/MANIFEST.json", text);
  EXPECT_EQ(Error(), path +
                         ": its checksum does not fit: cut or changed; remove the file, and the "
                         "import starts again");
}

}  // namespace
}  // namespace trestle
