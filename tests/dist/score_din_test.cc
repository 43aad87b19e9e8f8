// docs/score_din.py scores a trained DIN on KuaiRand's rows as `trestle predict` does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/filesystem.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

using testing::HasSubstr;

constexpr char kPython[] = TRESTLE_SOURCE_DIR "/.venv/bin/python";
constexpr char kScript[] = TRESTLE_SOURCE_DIR "/docs/score_din.py";
constexpr char kConfig[] = TRESTLE_SOURCE_DIR "/configs/kuairand_din.textproto";

// The first rows of a KuaiRand file.
std::string Excerpt(const TempDir& dir, const std::string& name, int rows) {
  const std::string path = dir.Join(name);
  DuckDb("COPY (FROM '" TRESTLE_SOURCE_DIR "/data/kuairand/" + name + "' LIMIT " +
         std::to_string(rows) + ") TO '" + path + "' (ROW_GROUP_SIZE 4096)");
  return path;
}

TEST(ScoreDinInPython, AgreesWithPredictWithinAHundredThousandth) {
  ASSERT_TRUE(FileSystem::Local().Exists(kPython)) << "run scripts/setup";
  const TempDir dir("score_din");
  const std::string train = Excerpt(dir, "train.parquet", 20'000);
  const std::string test = Excerpt(dir, "test.parquet", 4000);
  const std::vector<std::string> settings = {"--set", "data.train=\"" + train + "\"",
                                             "--set", "data.test=\"" + test + "\"",
                                             "--set", "checkpoint.dir=" + dir.Join("run")};
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    const ProcessResult result = RunTrestle({1, false, arguments}).process;
    EXPECT_EQ(result.exit_code, 0) << result.output;
  };
  run({"train", kConfig});
  run({"predict", kConfig, "--input", test, "--output", dir.Join("p.parquet")});
  const auto checkpoint = FileSystem::Local().Glob(dir.Join("run/checkpoints/step-*"));
  ASSERT_EQ(checkpoint.value().size(), 1u);
  const ProcessResult scored =
      RunCommand({{kPython, kScript, checkpoint->front(), test, dir.Join("p.parquet")}, {}, {}});
  EXPECT_EQ(scored.exit_code, 0) << scored.output << "\nif a package is missing: scripts/setup";
  EXPECT_THAT(scored.output, HasSubstr("4000 rows, largest difference of a logit"));
  // Not of other rows, so it can tell.
  run({"predict", kConfig, "--input", train, "--output", dir.Join("q.parquet")});
  EXPECT_NE(
      RunCommand({{kPython, kScript, checkpoint->front(), test, dir.Join("q.parquet")}, {}, {}})
          .exit_code,
      0);
}

}  // namespace
}  // namespace trestle
