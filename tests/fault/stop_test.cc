// Jobs under mpirun that end early or begin again: signals, a second run in the same folder, a
// failure before the first step. Nobody hangs, and what happened is said once.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/status.h"
#include "tests/support/small_job.h"

namespace trestle {
namespace {

// Trains until it is told to stop.
std::vector<std::string> Endless(const SmallJob& job, int servers) {
  return {"train", job.Config(),
          "--set", "train.epochs=1000000",
          "--set", "train.log_every_s=0.2",
          "--set", "cluster.servers=" + std::to_string(servers)};
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void ExpectOneError(const ProcessResult& result, StatusCode code, const std::string& what) {
  EXPECT_FALSE(result.timed_out) << result.output;
  EXPECT_EQ(result.exit_code, ExitCode(code)) << result.output;
  EXPECT_EQ(Count(result.output, "trestle: "), 1) << result.output;
  EXPECT_NE(LineAfter(result.output, "trestle: error: ").find(what), std::string::npos)
      << result.output;
  EXPECT_EQ(Count(result.output, " @ "), 0) << "a stack trace: " << result.output;
}

// Readable once the process has ended.
class Ending {
 public:
  explicit Ending(pid_t pid) : fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  ~Ending() { ::close(fd_); }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  bool Wait() const {
    pollfd ending{fd_, POLLIN, 0};
    return ::poll(&ending, 1, /*milliseconds=*/20'000) == 1;
  }

 private:
  const int fd_;
};

// mpirun gives the ranks a moment (SIGTERM) and then kills them: whether the model is saved in
// time is up to it, that all is over is not.
TEST(Stop, CtrlCOfMpirunEndsAllRanks) {
  for (const int servers : {0, 1}) {
    const SmallJob small;
    Process job(JobCommand({3, true, Endless(small, servers)}));
    ASSERT_TRUE(job.WaitForOutput("epoch 2/"));
    const Ending ranks[] = {Ending(job.RankPid(0)), Ending(job.RankPid(1)), Ending(job.RankPid(2))};
    job.Signal(SIGINT);
    const ProcessResult result = job.Wait(Process::Seconds(30));
    EXPECT_FALSE(result.timed_out) << result.output;
    EXPECT_NE(result.exit_code, 0) << result.output;
    EXPECT_LE(Count(result.output, "trestle: error: "), 1) << result.output;
    EXPECT_EQ(Count(result.output, " @ "), 0) << "a stack trace: " << result.output;
    for (const Ending& rank : ranks) EXPECT_TRUE(rank.Wait()) << "a rank outlived mpirun";
  }
}

// A stop that one rank alone hears of: agreed on, said once, and the model is saved.
TEST(Stop, ASignalToOneRankStopsAllOfThemAndSavesTheModel) {
  for (const auto& [servers, rank] : std::vector<std::pair<int, int>>{{0, 0}, {0, 2}, {1, 2}}) {
    const SmallJob small;
    Process job(JobCommand({3, true, Endless(small, servers)}));
    ASSERT_TRUE(job.WaitForOutput("epoch 2/"));
    ASSERT_EQ(::kill(job.RankPid(rank), SIGTERM), 0);
    const ProcessResult result = job.Wait(Process::Seconds(100));
    EXPECT_FALSE(result.timed_out) << result.output;
    EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
    EXPECT_EQ(Count(result.output, "trestle: error: stopped on request after step "), 1)
        << result.output;
    const std::string digest = LineAfter(result.output, "digest ");
    EXPECT_EQ(digest.size(), 16u) << result.output;
    EXPECT_NE(ReadText(small.run_folder() + "/summary.json").find("\"complete\":false"),
              std::string::npos);
    const ProcessResult stored =
        RunCommand(JobCommand({1, false, {"checkpoint", "digest", small.run_folder()}}));
    EXPECT_EQ(stored.output, digest + "\n");
  }
}

TEST(Stop, AFreshRunInTheSameFolderHasTheNewestModelAndContinuesTheLog) {
  const SmallJob small;
  const std::string config = small.Config();
  const JobResult first = RunTrestle({3, true, {"train", config, "--set", "train.seed=1"}});
  const JobResult second =
      RunTrestle({2, true, {"train", config, "--fresh", "--set", "cluster.servers=1"}});
  const JobResult third = RunTrestle({1, false, {"train", config, "--fresh"}});
  for (const JobResult* run : {&first, &second, &third}) {
    EXPECT_EQ(run->process.exit_code, 0) << run->process.output;
  }
  EXPECT_NE(first.digest, second.digest);
  EXPECT_EQ(second.digest, third.digest);
  const ProcessResult stored =
      RunCommand(JobCommand({1, false, {"checkpoint", "digest", small.run_folder()}}));
  EXPECT_EQ(stored.output, third.digest + "\n");
  const std::string log = ReadText(small.run_folder() + "/metrics.jsonl");
  EXPECT_EQ(Count(log, "{\"event\":\"start\","), 3);
  EXPECT_EQ(Count(log, "{\"event\":\"end\","), 3);
  EXPECT_NE(ReadText(small.run_folder() + "/summary.json").find(third.digest), std::string::npos);
}

// A rank's own stdout is a pseudo-terminal under mpirun, though the job's is a pipe here.
TEST(Stop, ProgressOfAPipedJobIsPlainLines) {
  const SmallJob small;
  const std::string config = small.Config();
  for (const bool mpirun : {false, true}) {
    const JobResult run = RunTrestle({1, mpirun, {"train", config, "--fresh"}});
    EXPECT_NE(run.process.output.find("epoch 1/1  step 16 (16/16)"), std::string::npos);
    EXPECT_EQ(Count(run.process.output, "\033"), 0) << run.process.output;
  }
}

TEST(Stop, AModelOfAnotherConfigIsNotEvaluated) {
  const SmallJob small;
  const std::string config = small.Config();
  EXPECT_EQ(RunTrestle({1, false, {"train", config}}).process.exit_code, 0);
  const auto eval = [&](const std::string& set) {
    return RunCommand(JobCommand({2, true, {"eval", config, "--set", set}}));
  };
  ExpectOneError(eval("features.sequence[0].keep_last=2"), StatusCode::kInvalidConfig,
                 "another config");
  ExpectOneError(eval("tables[item].dim=8"), StatusCode::kInvalidConfig, "table item has dim 4");
  const ProcessResult seeds = eval("train.seed=9");  // a line a table
  EXPECT_EQ(seeds.exit_code, ExitCode(StatusCode::kInvalidConfig)) << seeds.output;
  EXPECT_EQ(Count(seeds.output, " has seed "), 2) << seeds.output;
}

// The footer is whole, the pages are not: found when the columns' statistics are computed, before
// the first step. Dedicated servers must hear of it too.
TEST(Stop, DataThatCannotBeReadForStatisticsEndsEveryRank) {
  const SmallJob small;
  const std::string config = small.Config();
  {
    std::fstream file(small.train_file(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4);
    const auto bytes = std::filesystem::file_size(small.train_file()) / 2;
    file << std::string(bytes, '\xff');
  }
  for (const int servers : {0, 1}) {
    const std::string set = "cluster.servers=" + std::to_string(servers);
    ExpectOneError(RunCommand(JobCommand({3, true, {"train", config, "--set", set}})),
                   StatusCode::kInvalidData, "train.parquet");
  }
}

TEST(Stop, WithoutAModelThereIsNothingToEvaluate) {
  const SmallJob small;
  const std::string config = small.Config();
  ExpectOneError(RunCommand(JobCommand({2, true, {"eval", config}})), StatusCode::kNotFound,
                 "no checkpoint");
}

}  // namespace
}  // namespace trestle
