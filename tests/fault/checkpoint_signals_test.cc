// Signals that take checkpoints: SIGUSR1 to a rank or to mpirun takes one and the job goes on;
// SIGTERM stops it with one, from which it ends as if it had never stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <tuple>
#include <vector>

#include "base/status.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "tests/support/small_job.h"

namespace trestle {
namespace {

constexpr char kTaken[] = "\ncheckpoint step-";
constexpr int64_t kStepsOfAnEpoch = 16;

class CheckpointSignals : public testing::Test {
 protected:
  // Without its test file: a signal may come at any moment.
  Command Train(int ranks, int servers, const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"train", config_,
                                          "--set", "data.test=[]",
                                          "--set", "checkpoint.keep=100",
                                          "--set", "cluster.servers=" + std::to_string(servers)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return JobCommand({ranks, ranks > 1, arguments});
  }
  Command Endless(int ranks, int servers) const {
    return Train(ranks, servers, {"--fresh", "--set", "train.epochs=1000000"});
  }
  std::string checkpoints() const { return small_.run_folder() + "/checkpoints"; }

  // Each whole, and as many as were told.
  void ExpectWhole(int64_t attempt, int count) const {
    const auto found = ListCheckpoints(FileSystem::Local(), checkpoints());
    ASSERT_TRUE(found.ok());
    int of_attempt = 0;
    for (const FoundCheckpoint& checkpoint : *found) {
      if (checkpoint.name.attempt != attempt) continue;
      ++of_attempt;
      EXPECT_TRUE(checkpoint.complete);
      const auto reader = CheckpointReader::Open(FileSystem::Local(), checkpoint.path);
      ASSERT_TRUE(reader.ok()) << reader.status().ToString();
      EXPECT_TRUE((*reader)->Verify().ok()) << (*reader)->Verify().ToString();
    }
    EXPECT_EQ(of_attempt, count);
  }

  // Ends the job; what was told of checkpoints, the last one included, is on disk.
  ProcessResult Stop(Process* job, int signal, int64_t attempt) const {
    job->Signal(signal);
    ProcessResult result = job->Wait();
    EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
    EXPECT_EQ(Count(result.output, "FAILED"), 0) << result.output;
    ExpectWhole(attempt, Count(result.output, kTaken));
    return result;
  }

  const SmallJob small_;
  const std::string config_ = small_.Config();
};

TEST_F(CheckpointSignals, User1TakesOneAndTheJobGoesOn) {
  Process job(Endless(1, 0));
  ASSERT_TRUE(job.WaitForOutput("\nepoch 2/"));
  EXPECT_EQ(Count(job.output(), kTaken), 0);
  job.Signal(SIGUSR1);
  ASSERT_TRUE(job.WaitForOutput(kTaken)) << job.output();
  const ProcessResult result = Stop(&job, SIGTERM, 1);
  EXPECT_EQ(Count(result.output, kTaken), 2) << result.output;  // the last one is of the end
}

TEST_F(CheckpointSignals, User1ToAnyOneRankTakesOne) {
  int64_t attempt = 0;
  for (const auto& [servers, rank] :
       std::vector<std::pair<int, int>>{{0, 0}, {0, 2}, {1, 0}, {1, 2}}) {
    SCOPED_TRACE(std::to_string(servers) + " servers, to rank " + std::to_string(rank));
    Process job(Endless(3, servers));
    ASSERT_TRUE(job.WaitForOutput("\nepoch 2/"));
    ASSERT_EQ(::kill(job.RankPid(rank), SIGUSR1), 0);
    ASSERT_TRUE(job.WaitForOutput(kTaken)) << job.output();
    const ProcessResult result = Stop(&job, SIGUSR2, ++attempt);
    EXPECT_EQ(Count(result.output, kTaken), 2) << result.output;
  }
}

// It passes it on to all ranks, to some of them maybe after the checkpoint has begun.
TEST_F(CheckpointSignals, User1ToMpirunTakesOne) {
  int64_t attempt = 0;
  for (const int servers : {0, 1}) {
    Process job(Endless(3, servers));
    ASSERT_TRUE(job.WaitForOutput("\nepoch 2/"));
    job.Signal(SIGUSR1);
    ASSERT_TRUE(job.WaitForOutput(kTaken)) << job.output();
    const ProcessResult result = Stop(&job, SIGUSR2, ++attempt);
    EXPECT_THAT(Count(result.output, kTaken), testing::AllOf(testing::Ge(2), testing::Le(4)))
        << result.output;
  }
}

TEST_F(CheckpointSignals, StoppedByATermItGoesOnToTheSameEnd) {
  int64_t attempt = 0;
  const std::vector<std::tuple<int, int, int>> cases = {{1, 0, 0}, {3, 0, 1}, {3, 1, 0}, {3, 1, 2}};
  for (const auto& [ranks, servers, rank] : cases) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(servers) +
                 " servers, to rank " + std::to_string(rank));
    Process job(Endless(ranks, servers));
    ASSERT_TRUE(job.WaitForOutput("\nepoch 2/"));
    const pid_t pid = ranks > 1 ? job.RankPid(rank) : job.pid();
    ASSERT_EQ(::kill(pid, SIGTERM), 0);
    const ProcessResult stopped = job.Wait();
    EXPECT_EQ(stopped.exit_code, ExitCode(StatusCode::kInterrupted)) << stopped.output;
    ExpectWhole(++attempt, 1);

    const int64_t step = std::stoll(LineAfter(stopped.output, "(step "));
    const std::string epochs = "train.epochs=" + std::to_string(step / kStepsOfAnEpoch + 1);
    const ProcessResult rest =
        RunCommand(Train(4 - ranks, 0, {"--resume", "latest", "--set", epochs}));
    ++attempt;
    EXPECT_EQ(rest.exit_code, 0) << rest.output;
    const ProcessResult alone = RunCommand(Train(
        1, 0,
        {"--fresh", "--set", epochs, "--set", "checkpoint.dir=" + small_.dir().Join("alone")}));
    EXPECT_EQ(LineAfter(rest.output, "\ndigest ").size(), 16u) << rest.output;
    EXPECT_EQ(LineAfter(rest.output, "\ndigest "), LineAfter(alone.output, "\ndigest "));
    EXPECT_EQ(LineAfter(rest.output.substr(rest.output.rfind("\nledger")), "\nledger  "),
              LineAfter(alone.output.substr(alone.output.rfind("\nledger")), "\nledger  "));
  }
}

}  // namespace
}  // namespace trestle
