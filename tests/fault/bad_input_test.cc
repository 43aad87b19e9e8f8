// What a user can get wrong, end to end: one clear line on stderr, once for the whole job, no stack
// trace, and the exit code of docs/errors.md. Each case runs in one process and under mpirun with
// two ranks and one dedicated server.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "tests/support/parquet_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

constexpr int kRows = 4000;

// Columns of a small training file; a test spoils one.
std::vector<FileColumn> GoodColumns() {
  std::vector<int64_t> user, item, click;
  std::vector<double> price;
  std::vector<std::vector<int64_t>> history;
  for (int64_t i = 0; i < kRows; ++i) {
    user.push_back(i % 97);
    item.push_back(i * 7 % 53);
    click.push_back(i % 3 == 0);
    price.push_back(0.25 * static_cast<double>(i % 11));
    history.emplace_back(static_cast<size_t>(i % 5), i % 53);
  }
  return {{"user", Int64s(user)},
          {"item", Int64s(item)},
          {"hist", Int64Lists(history)},
          {"price", Doubles(price)},
          {"click", Int64s(click)}};
}

class BadInput : public testing::Test {
 protected:
  std::string WriteData(const std::string& name, const std::vector<FileColumn>& columns) {
    const std::string path = folder_.Join(name);
    WriteParquet(path, columns, 1000);
    return path;
  }

  // With one column replaced.
  std::string WriteSpoiled(const std::string& column, std::shared_ptr<arrow::Array> values) {
    std::vector<FileColumn> columns = GoodColumns();
    for (FileColumn& c : columns) {
      if (c.name == column) c.values = values;
    }
    return WriteData("spoiled.parquet", columns);
  }

  std::string WriteConfig(const std::string& train, const std::string& more = "") {
    return folder_.Write("config.textproto",
                         "data { train: \"" + train + "\" label: \"click\" }\n" +
                             "features {\n"
                             "  id { columns: [\"user\", \"item\"] dim: 4 }\n"
                             "  sequence { columns: \"hist\" like: \"item\" }\n"
                             "  numeric { columns: \"price\" }\n"
                             "}\n"
                             "model { din { candidate: \"item\" history: \"hist\" } }\n"
                             "batch { rows: 256 lanes: 4 }\n"
                             "cluster { threads: 1 deadline_s: 60 }\n"
                             "checkpoint { dir: \"" +
                             folder_.Join("run") + "\" }\n" + more);
  }

  // A run that goes on until it is stopped.
  static Command TrainForLong(int ranks, bool mpirun, const std::string& config,
                              const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"train",
                                          config,
                                          "--fresh",
                                          "--set",
                                          "train.epochs=100000",
                                          "--set",
                                          "train.log_every_s=0.2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return JobCommand({ranks, mpirun, arguments});
  }

  // One line with `message`, once, in every shape of the job.
  void ExpectError(const std::vector<std::string>& arguments, StatusCode code,
                   const std::string& message) {
    ExpectErrorOf({1, false, arguments}, code, message);
    ExpectErrorOf({2, true, arguments}, code, message);
    std::vector<std::string> dedicated = arguments;
    dedicated.insert(dedicated.end(), {"--set", "cluster.servers=1"});
    ExpectErrorOf({3, true, dedicated}, code, message);
  }

  static void ExpectErrorOf(const JobRun& run, StatusCode code, const std::string& message) {
    const ProcessResult result = RunCommand(JobCommand(run), Process::Seconds(100));
    EXPECT_FALSE(result.timed_out) << result.output;
    EXPECT_EQ(result.exit_code, ExitCode(code)) << result.output;
    EXPECT_EQ(Count(result.output, "trestle: error: "), 1) << result.output;
    EXPECT_NE(LineAfter(result.output, "trestle: error: ").find(message), std::string::npos)
        << result.output;
    EXPECT_EQ(Count(result.output, "Check failed"), 0) << result.output;
    EXPECT_EQ(Count(result.output, " @ "), 0) << "a stack trace: " << result.output;
  }

  void ExpectTrainError(const std::string& config, StatusCode code, const std::string& message) {
    ExpectError({"train", config, "--fresh"}, code, message);
  }

  TempDir folder_;
};

TEST_F(BadInput, GoodDataTrains) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  for (const JobRun& run : {JobRun{1, false, {"train", config, "--fresh"}},
                            JobRun{2, true, {"train", config, "--fresh"}}}) {
    const JobResult result = RunTrestle(run);
    EXPECT_EQ(result.process.exit_code, 0) << result.process.output;
    EXPECT_EQ(result.digest.size(), 16u);
  }
}

TEST_F(BadInput, MissingFile) {
  ExpectTrainError(WriteConfig(folder_.Join("nowhere-*.parquet")), StatusCode::kNotFound,
                   "nowhere-*.parquet");
}

TEST_F(BadInput, TruncatedParquet) {
  const std::string path = WriteData("cut.parquet", GoodColumns());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  ExpectTrainError(WriteConfig(path), StatusCode::kInvalidData, "cut.parquet");
}

TEST_F(BadInput, WrongColumnType) {
  const std::string path = WriteSpoiled("hist", GoodColumns()[0].values);
  ExpectTrainError(WriteConfig(path), StatusCode::kInvalidData, "\"hist\"");
}

TEST_F(BadInput, EmptyFile) {
  ExpectTrainError(WriteConfig(folder_.Write("empty.parquet", "")), StatusCode::kInvalidData,
                   "empty.parquet");
}

TEST_F(BadInput, FileWithoutRows) {
  std::vector<FileColumn> columns = GoodColumns();
  for (FileColumn& column : columns) {
    column.values = column.name == "hist"    ? Int64Lists({})
                    : column.name == "price" ? Doubles({})
                                             : Int64s({});
  }
  ExpectTrainError(WriteConfig(WriteData("none.parquet", columns)), StatusCode::kInvalidData,
                   "none.parquet");
}

TEST_F(BadInput, UnknownConfigKey) {
  const std::string config = WriteConfig("x.parquet", "batsh { rows: 3 }\n");
  ExpectTrainError(config, StatusCode::kInvalidConfig, "did you mean \"batch\"");
  ExpectTrainError(config, StatusCode::kInvalidConfig, "config.textproto:11:1");
}

TEST_F(BadInput, ValueOutOfRange) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  ExpectError({"train", config, "--set", "batch.lanes=0"}, StatusCode::kInvalidConfig,
              "--set batch.lanes=0: batch.lanes: 0 is out of range");
}

TEST_F(BadInput, MissingConfig) {
  ExpectTrainError(folder_.Join("no.textproto"), StatusCode::kNotFound, "no.textproto");
}

TEST_F(BadInput, LabelOutsideZeroAndOne) {
  std::vector<int64_t> click(kRows, 0);
  click[0] = 1;
  click[1234] = 7;
  ExpectTrainError(WriteConfig(WriteSpoiled("click", Int64s(click))), StatusCode::kInvalidData,
                   "spoiled.parquet, row 1234: ");
}

TEST_F(BadInput, BadRowsWithinTheLimitAreCountedAndKept) {
  std::vector<int64_t> click(kRows, 0);
  click[0] = 1;
  click[1234] = 7;
  const std::string config = WriteConfig(WriteSpoiled("click", Int64s(click)));
  for (const int ranks : {2, 1}) {
    const JobResult result = RunTrestle(
        {ranks,
         ranks > 1,
         {"train", config, "--fresh", "--set", "data.max_bad_rows=1", "--set", "train.epochs=2"}});
    EXPECT_EQ(result.process.exit_code, 0) << result.process.output;
    EXPECT_NE(result.process.output.find("4000 rows read, 1 rejected, 4000 expected"),
              std::string::npos)
        << result.process.output;
  }
  // Once, after two epochs of two runs.
  const auto files = FileSystem::Local().Glob(folder_.Join("run/rejected-rank-*.tsv"));
  ASSERT_TRUE(files.ok());
  std::string rejects;
  for (const std::string& path : *files) rejects += FileSystem::Local().Read(path).value();
  EXPECT_EQ(Count(rejects, "\t1234\tclick\tlabel 7 is not 0 or 1\n"), 1) << rejects;
  EXPECT_EQ(Count(rejects, "\n"), 1) << rejects;
}

TEST_F(BadInput, NoPositiveLabel) {
  ExpectTrainError(WriteConfig(WriteSpoiled("click", Int64s(std::vector<int64_t>(kRows, 0)))),
                   StatusCode::kInvalidData, "has label 1");
}

// What is wrong with the test files comes out after the training: the model is saved all the same.
TEST_F(BadInput, BadTestDataDoesNotCostTheTrainedModel) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  const std::string test = WriteSpoiled("click", Int64s(std::vector<int64_t>(kRows, 0)));
  ExpectError({"train", config, "--fresh", "--set", "data.test=" + test}, StatusCode::kInvalidData,
              "has label 1");
  const JobResult result = RunTrestle({1, false, {"checkpoint", "digest", folder_.Join("run")}});
  EXPECT_EQ(result.process.exit_code, 0) << result.process.output;
}

TEST_F(BadInput, NanInAFeature) {
  std::vector<double> price(kRows, 1.0);
  price[77] = std::numeric_limits<double>::quiet_NaN();
  ExpectTrainError(WriteConfig(WriteSpoiled("price", Doubles(price))), StatusCode::kInvalidData,
                   "spoiled.parquet, row 77: ");
}

TEST_F(BadInput, LearningRateThatExplodes) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  ExpectError({"train", config, "--fresh", "--set", "optimizer.dense.sgd.lr=1e30", "--set",
               "train.epochs=3"},
              StatusCode::kNumeric, "step ");
}

TEST_F(BadInput, DedicatedServersWithoutAWorkerLeft) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  ExpectErrorOf({2, true, {"train", config, "--set", "cluster.servers=2"}},
                StatusCode::kInvalidConfig, "cluster.servers");
}

TEST_F(BadInput, RanksWithDifferentConfigs) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  // mpirun's own way to give each rank its arguments.
  Command command = Mpirun(1, {TrestleProgram(), "train", config, ":", "-np", "1", TrestleProgram(),
                               "train", config, "--set", "train.seed=5"});
  const ProcessResult result = RunCommand(command, Process::Seconds(100));
  EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kMismatch)) << result.output;
  EXPECT_EQ(Count(result.output, "trestle: error: "), 1) << result.output;
  EXPECT_NE(result.output.find("the ranks differ in the config"), std::string::npos)
      << result.output;
}

// The others are gone within seconds, and mpirun says who died. Each rank in turn: a worker that
// prints, a worker, a dedicated server.
TEST_F(BadInput, ARankKilled) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  for (const int victim : {0, 1, 2}) {
    Process job(TrainForLong(3, true, config, {"--set", "cluster.servers=1"}));
    ASSERT_TRUE(job.WaitForOutput("epoch 2/"));
    const pid_t pid = job.RankPid(victim);
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    const ProcessResult result = job.Wait(Process::Seconds(30));
    EXPECT_FALSE(result.timed_out) << "rank " << victim << "\n" << result.output;
    EXPECT_NE(result.exit_code, 0) << result.output;
    EXPECT_NE(result.output.find("signal 9"), std::string::npos) << result.output;
    EXPECT_EQ(Count(result.output, " @ "), 0) << "a stack trace: " << result.output;
  }
}

TEST_F(BadInput, CtrlCEndsCleanlyWithASummary) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  Process job(TrainForLong(1, false, config));
  ASSERT_TRUE(job.WaitForOutput("epoch 2/"));
  job.Signal(SIGINT);
  const ProcessResult result = job.Wait(Process::Seconds(60));
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
  EXPECT_NE(result.output.find("stopped on request after step"), std::string::npos)
      << result.output;
  EXPECT_EQ(LineAfter(result.output, "digest ").size(), 16u) << result.output;
}

TEST_F(BadInput, FolderOfARunThatGoesOnIsRefusedAndOfOneThatWasKilledIsNot) {
  const std::string config = WriteConfig(WriteData("good.parquet", GoodColumns()));
  Process job(TrainForLong(1, false, config));
  ASSERT_TRUE(job.WaitForOutput("epoch 2/"));
  const std::string rejects = folder_.Write("run/rejected-rank-0.tsv", "of the run that goes on\n");
  ExpectTrainError(config, StatusCode::kInUse,
                   folder_.Join("run") + " is in use by another run (pid " +
                       std::to_string(job.pid()) + " on host ");
  EXPECT_TRUE(std::filesystem::exists(rejects));
  job.Signal(SIGKILL);
  (void)job.Wait();
  const JobResult after = RunTrestle({2, true, {"train", config, "--fresh"}});
  EXPECT_EQ(after.process.exit_code, 0) << after.process.output;
}

}  // namespace
}  // namespace trestle
