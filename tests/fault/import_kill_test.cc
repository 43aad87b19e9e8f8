// An import that is killed at random moments ends, when it is called again, with the same bytes as
// one that was left alone, and never passes for complete before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "base/filesystem.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr int kKills = 20;
constexpr int kImportedRows = 600'000;  // of 40 bytes: several buckets

uint64_t Seed() {
  const char* given = std::getenv("TRESTLE_KILL_SEED");
  return given ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

class ImportKill : public testing::Test {
 protected:
  void SetUp() override {
    for (int file = 0; file < 2; ++file) {
      std::string text = "y,user,name,tags,x\n";
      for (int i = 0; i < kImportedRows / 2; ++i) {
        const std::string n = std::to_string(2 * i + file);
        text += std::to_string(i % 2) + "," + n + ",\"n, " + n + "\"," + n + "|7," + n + ".25\n";
      }
      dir_.Write("raw" + std::to_string(file) + ".csv", text);
    }
    dir_.Write("c.textproto",
               "data { train: \"raw*.csv\" label: \"y\" cache: \"cache\" }\n"
               "features { id { columns: [\"user\", \"name\"] }\n"
               "  sequence { columns: \"tags\" } numeric { columns: \"x\" } }\n"
               "model { base { } }\n");
  }

  Command Import() const {
    return {{std::string(TRESTLE_BINARY_DIR) + "/bin/trestle", "prepare", "import", "c.textproto",
             "--threads", "2"},
            {},
            dir_.path()};
  }

  // Without its locks.
  std::map<std::string, std::string> CacheBytes() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.Join("cache"))) {
      const std::string name = entry.path().filename().string();
      if (entry.is_directory() || name == "lock" || name.starts_with("in-use-")) continue;
      all[entry.path().string()] = FileSystem::Local().Read(entry.path().string()).value();
    }
    return all;
  }

  const TempDir dir_{"import_kill"};
};

TEST_F(ImportKill, AtRandomMomentsEndsWithTheSameBytes) {
  const uint64_t seed = Seed();
  std::cout << "TRESTLE_KILL_SEED=" << seed << std::endl;
  std::mt19937_64 random(seed);
  const auto start = std::chrono::steady_clock::now();
  const ProcessResult alone = RunCommand(Import());
  ASSERT_EQ(alone.exit_code, 0) << alone.output;
  const auto took =
      std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
  const auto expected = CacheBytes();
  ASSERT_GT(expected.size(), 1u);

  std::filesystem::remove_all(dir_.Join("cache"));
  const std::string manifest = dir_.Join("cache/MANIFEST.json");
  int kills = 0, complete = 0;
  while (kills < kKills) {
    Process process(Import());
    const auto moment = Milliseconds(random() % static_cast<uint64_t>(took.count() + 1));
    std::this_thread::sleep_for(moment);
    process.Signal(SIGKILL);
    const ProcessResult result = process.Wait();
    kills += result.exit_code == 137 ? 1 : 0;
    if (result.exit_code == 0) {  // it was done before: from the beginning again
      EXPECT_TRUE(CacheBytes() == expected);
      ++complete;
      ASSERT_LT(complete, 200);
      std::filesystem::remove_all(dir_.Join("cache"));
      continue;
    }
    // Killed after its manifest was complete, it is complete.
    const auto text = FileSystem::Local().Read(manifest);
    if (text.ok() && *text == expected.at(manifest)) {
      EXPECT_TRUE(CacheBytes() == expected);
      std::filesystem::remove_all(dir_.Join("cache"));
    }
  }
  const ProcessResult last = RunCommand(Import());
  EXPECT_EQ(last.exit_code, 0) << last.output;
  EXPECT_TRUE(CacheBytes() == expected);
}

}  // namespace
}  // namespace trestle
