// Runs prepare/criteo.sql as its header says, on lines of every shape.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "launcher/prepare/duckdb.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

// A line of Criteo's, and as the prepared row is printed: commas, '?' for a missing category.
struct Line {
  std::string raw, prepared;
};

std::vector<Line> MakeLines(int count) {
  std::mt19937 random(7);
  std::vector<Line> lines;
  for (int i = 0; i < count; ++i) {
    std::ostringstream raw, prepared;
    raw << i % 2;
    prepared << i % 2;
    for (int c = 0; c < 39; ++c) {
      const bool missing = random() % 3 == 0;
      const auto value = static_cast<int>(random() % 100) - 2;
      std::ostringstream cell;
      if (c < 13) {
        if (!missing) cell << value;
      } else if (!missing) {
        cell << std::hex << 0x10000000 + value;
      }
      raw << '\t' << cell.str();
      prepared << ',' << (c >= 13 && missing ? "?" : cell.str());
    }
    lines.push_back({raw.str(), prepared.str()});
  }
  return lines;
}

std::string DuckDbSays(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {DuckDb::Find("").value().program(), "-no-init", "-batch",
                                   "-bail"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const ProcessResult result = RunCommand({argv, {}, ""});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  return result.output;
}

void Prepare(const std::string& raw, const std::string& out) {
  DuckDbSays({"-cmd", "SET VARIABLE raw = '" + raw + "'; SET VARIABLE out = '" + out + "'", "-f",
              std::string(TRESTLE_SOURCE_DIR) + "/prepare/criteo.sql"});
}

std::vector<std::string> RowsOf(const std::string& path) {
  std::istringstream text(
      DuckDbSays({"-csv", "-noheader", "-nullvalue", "", "-c", "FROM '" + path + "'"}));
  std::vector<std::string> rows;
  for (std::string row; std::getline(text, row);) rows.push_back(row);
  return rows;
}

TEST(PrepareCriteo, SixSeventhsTrainShuffledAndTheRestTestsInOrder) {
  const TempDir dir, again;
  const std::vector<Line> lines = MakeLines(700);
  std::string raw;
  std::vector<std::string> train, test;
  for (size_t i = 0; i < lines.size(); ++i) {
    raw.append(lines[i].raw).push_back('\n');
    (i < 600 ? train : test).push_back(lines[i].prepared);
  }
  dir.Write("train.txt", raw);
  Prepare(dir.Join("train.txt"), dir.path());
  std::vector<std::string> found = RowsOf(dir.Join("train.parquet"));
  EXPECT_FALSE(found == train) << "not shuffled";
  std::sort(found.begin(), found.end());
  std::sort(train.begin(), train.end());
  EXPECT_TRUE(found == train);
  EXPECT_TRUE(RowsOf(dir.Join("test.parquet")) == test);

  Prepare(dir.Join("train.txt"), again.path());
  for (const char* name : {"train.parquet", "test.parquet"}) {
    EXPECT_TRUE(FileSystem::Local().Read(dir.Join(name)).value() ==
                FileSystem::Local().Read(again.Join(name)).value());
  }
}

}  // namespace
}  // namespace trestle
