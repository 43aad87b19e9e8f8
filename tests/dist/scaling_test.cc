// `trestle bench scaling` of a small job, under the real mpirun: on this machine, and over four
// simulated hosts (tests/support/hosts.sh).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/parquet_files.h"
#include "tests/support/small_job.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kScaledRows = 4096, kScaledBatch = 2048, kScaledDim = 32;

std::string ReadAllOf(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class ScalingOfAJob : public testing::Test {
 protected:
  // Users and items that come once, and one item of the past each: whatever step and rank a row
  // falls to, it has three keys that no other row of it has, so that what must go over wires is
  // known without asking the program.
  ScalingOfAJob() {
    std::vector<FileColumn> columns = SmallJob::Columns(kScaledRows, 0);
    std::vector<int64_t> user, item;
    std::vector<std::vector<int64_t>> history;
    for (int64_t i = 0; i < kScaledRows; ++i) {
      user.push_back(i);
      item.push_back(i);
      history.push_back({kScaledRows + i});
    }
    columns[0].values = Int64s(user);
    columns[1].values = Int64s(item);
    columns[2].values = Int64Lists(history);
    WriteParquet(job_.train_file(), columns, 1024);
    config_ = job_.Config();
  }

  std::vector<std::string> Arguments(const std::string& np) const {
    return {"bench",
            "scaling",
            config_,
            "--np",
            np,
            "--output",
            output(),
            "--set",
            "features.id[0].dim=" + std::to_string(kScaledDim),
            "--set",
            "batch.rows=" + std::to_string(kScaledBatch)};
  }
  std::string output() const { return job_.dir().Join("scaling"); }

  void ExpectSizes(const ProcessResult& result, const std::vector<int>& sizes) const {
    ASSERT_EQ(result.exit_code, 0) << result.output;
    EXPECT_EQ(Count(result.output, "| equal\n"), static_cast<int>(sizes.size()) - 1)
        << result.output;
    EXPECT_THAT(ReadAllOf(output() + "/scaling.svg"), HasSubstr("</svg>"));
    const auto json = nlohmann::json::parse(ReadAllOf(output() + "/scaling.json"));
    EXPECT_EQ(json["digests_equal"], true);
    ASSERT_EQ(json["sizes"].size(), sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) {
      SCOPED_TRACE("ranks " + std::to_string(sizes[i]) + "\n" + result.output);
      ExpectSize(json["sizes"][i], sizes[i]);
    }
  }

  // A key is on another rank with chance 1 - 1/ranks, and then goes out, its row comes back and its
  // gradient goes out.
  static void ExpectSize(const nlohmann::json& size, int ranks) {
    EXPECT_EQ(size["ranks"], ranks);
    EXPECT_EQ(size["rows"], kScaledRows);
    EXPECT_EQ(size["steps"], kScaledRows / kScaledBatch);
    EXPECT_EQ(size["unique_keys"], 3 * kScaledRows);
    double shares = 0;
    for (const auto& share : size["phase_share"]) shares += share.get<double>();
    EXPECT_NEAR(shares, 1, 1e-9);
    const double key_bytes = sizeof(uint64_t) + 2 * kScaledDim * sizeof(float);
    const double remote = size["remote_keys"].get<double>();
    EXPECT_NEAR(remote, 3 * kScaledRows * (1 - 1.0 / ranks), 0.03 * 3 * kScaledRows);
    EXPECT_EQ(size["wire_bytes"]["needed_by_remote_keys"], remote * key_bytes);
    const double needed = remote * key_bytes / kScaledRows;
    const double sparse = size["wire_bytes_per_sample"]["sparse"].get<double>();
    EXPECT_GE(sparse, needed);
    EXPECT_LE(sparse, 1.1 * needed);
    EXPECT_EQ(size["wire_bytes_per_sample"]["dense"] > 0, ranks > 1);
  }

  const SmallJob job_;
  std::string config_;
};

TEST_F(ScalingOfAJob, OverOneTwoAndFourRanks) {
  Command command = JobCommand({1, false, Arguments("1,2,4")});
  command.env = Mpirun(1, {"true"}).env;
  ExpectSizes(RunCommand(command), {1, 2, 4});
}

TEST_F(ScalingOfAJob, OverFourHostsWithTwoRanksEach) {
  std::string trestle = TrestleProgram();
  for (const std::string& argument : Arguments("2,8")) trestle += " '" + argument + "'";
  Command command;
  command.argv = {std::string(TRESTLE_SOURCE_DIR) + "/tests/support/hosts.sh",
                  "4",
                  "2",
                  "sh",
                  "-c",
                  trestle + " --hosts $TRESTLE_HOSTFILE"};
  const ProcessResult result = RunCommand(command);
  if (result.exit_code == 77) GTEST_SKIP() << result.output;
  ExpectSizes(result, {2, 8});
  const auto json = nlohmann::json::parse(ReadAllOf(output() + "/scaling.json"));
  EXPECT_EQ(json["sizes"][0]["hosts"], 1);
  EXPECT_EQ(json["sizes"][1]["hosts"], 4);
}

}  // namespace
}  // namespace trestle
