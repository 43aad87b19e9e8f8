// What tests of the import share: a folder with sources and a cache, and what the cache's rows are.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/worker/input_fixture.h"
#include "worker/import/cache.h"
#include "worker/import/import.h"

namespace trestle {

class ImportTest : public testing::Test {
 protected:
  // `data` names no files; those are all of folder `in` unless it does.
  void Configure(const std::string& data, const std::string& features,
                 const std::string& files = "in/*") {
    data_ = Parse<Data>(data);
    data_.add_train(dir_.Join(files));
    data_.set_cache(dir_.Join("cache"));
    schema_ = MakeSchema(data_, Parse<Features>(features)).value();
  }

  Result<PreparedInput> Prepare(int threads = 2, FileSystem& fs = FileSystem::Local(),
                                int64_t memory = int64_t{256} << 20) {
    PrepareOptions options;
    options.threads = threads;
    options.memory_bytes = memory;
    options.say = [this](const std::string& line) { said_ += line + "\n"; };
    return PrepareInput(schema_, data_, options, fs);
  }
  PreparedInput MustPrepare() {
    auto input = Prepare();
    CHECK(input.ok()) << input.status().ToString();
    return *std::move(input);
  }
  std::string Error() {
    const auto input = Prepare();
    return input.ok() ? "prepared" : input.status().ToString();
  }

  LaneRows Rows(const std::vector<std::string>& files) {
    return ReadInOrder(*MustOpen(schema_, files));
  }

  // Every file of the cache, but the locks, with its bytes.
  std::map<std::string, std::string> CacheBytes() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.Join("cache"))) {
      const std::string name = entry.path().filename().string();
      if (entry.is_directory() || name == "lock" || name.starts_with("in-use-")) continue;
      all[entry.path().string()] = FileSystem::Local().Read(entry.path().string()).value();
    }
    return all;
  }
  std::string Rejected(int part = 1) const {
    return FileSystem::Local().Read(PartFolder(dir_.Join("cache"), part) + "/rejected.tsv").value();
  }

  const TempDir dir_{"import"};
  Data data_;
  Schema schema_;
  std::string said_;
};

// "clk,user,..." with `rows` rows of which each carries its own number.
inline std::string NumberedCsv(int rows, int first = 0) {
  std::string text = "clk,user,name,tags,price\n";
  for (int i = first; i < first + rows; ++i) {
    const std::string n = std::to_string(i);
    text += std::to_string(i % 3 == 0) + "," + n + ",\"n, " + std::to_string(i % 50) + "\"," + n +
            "|" + std::to_string(i % 7) + "," + std::to_string(i) + ".5\n";
  }
  return text;
}

inline constexpr char kNumberedData[] = R"(label: "clk")";
inline constexpr char kNumberedFeatures[] =
    R"(id { columns: ["user", "name"] } sequence { columns: "tags" } numeric { columns: "price" })";

}  // namespace trestle
