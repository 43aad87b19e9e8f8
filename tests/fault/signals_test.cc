// Ctrl-C, SIGTERM and SIGUSR2 while real lanes are computed: the run ends at a step boundary, saves
// the model so far and is unharmed. (A handler on a thread that computes would break oneDNN's
// kernels and the heap: docs/architecture.md, "Signals".)
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

class Signals : public testing::Test {
 protected:
  Command Train(int ranks, bool mpirun, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "train", std::string(TRESTLE_SOURCE_DIR) + "/configs/kuairand_base.textproto", "--fresh"};
    std::vector<std::string> sets = {"train.epochs=1000", "train.log_every_s=0.02",
                                     "checkpoint.dir=" + folder_.Join("run")};
    sets.insert(sets.end(), more.begin(), more.end());
    for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    Command command = JobCommand({ranks, mpirun, arguments});
    command.folder = TRESTLE_SOURCE_DIR;
    return command;
  }

  // A summary and a model that is what the output says.
  void ExpectStopped(const ProcessResult& result) {
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(Count(result.output, "stopped on request after step"), 1) << result.output;
    EXPECT_EQ(Count(result.output, "corrupted"), 0) << result.output;
    const std::string digest = LineAfter(result.output, "\ndigest ");
    EXPECT_EQ(digest.size(), 16u) << result.output;
    const ProcessResult stored =
        RunCommand(JobCommand({1, false, {"checkpoint", "digest", folder_.Join("run")}}));
    EXPECT_EQ(stored.output.substr(0, stored.output.find('\n')), digest);
    std::ifstream in(folder_.Join("run/summary.json"));
    const std::string summary{std::istreambuf_iterator<char>(in), {}};
    EXPECT_NE(summary.find("\"complete\":false"), std::string::npos) << summary;
  }

  TempDir folder_;
};

TEST_F(Signals, AtAnyMomentOfTheComputationLeaveASoundModel) {
  // The first step whose number begins so.
  for (const char* moment : {"step 1 (", "step 2", "step 4", "step 6", "step 8"}) {
    Process job(Train(1, false));
    ASSERT_TRUE(job.WaitForOutput(moment));
    job.Signal(SIGINT);
    for (int again = 0; again < 100; ++again) job.Signal(SIGTERM);  // changes nothing
    const ProcessResult result = job.Wait(Process::Seconds(60));
    EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
    ExpectStopped(result);
  }
}

// mpirun itself decides what becomes of its exit code after SIGINT.
TEST_F(Signals, InterruptToMpirunStopsAllRanks) {
  for (const char* servers : {"cluster.servers=0", "cluster.servers=1"}) {
    std::filesystem::remove_all(folder_.Join("run"));
    Command command = Train(2, true, {servers});
    command.env.emplace("OMPI_MCA_odls_base_sigkill_timeout", "4");
    Process job(command);
    ASSERT_TRUE(job.WaitForOutput("step 2"));
    job.Signal(SIGINT);
    const ProcessResult result = job.Wait(Process::Seconds(100));
    EXPECT_NE(result.exit_code, 0) << result.output;
    ExpectStopped(result);
  }
}

TEST_F(Signals, User2ToMpirunStopsAllRanksWithoutADeadline) {
  for (const char* servers : {"cluster.servers=0", "cluster.servers=1"}) {
    std::filesystem::remove_all(folder_.Join("run"));
    Process job(Train(2, true, {servers}));
    ASSERT_TRUE(job.WaitForOutput("step 2"));
    job.Signal(SIGUSR2);
    const ProcessResult result = job.Wait(Process::Seconds(100));
    EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
    ExpectStopped(result);
  }
}

TEST_F(Signals, CommandsWithoutStepsEndAtOnce) {
  Process plant(
      JobCommand({1, false, {"synth", "plant", folder_.Join("p"), "--rows", "90000000"}}));
  // It has begun once its folder is there.
  const auto deadline = std::chrono::steady_clock::now() + Process::Seconds(60);
  while (!std::filesystem::exists(folder_.Join("p"))) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    sched_yield();
  }
  plant.Signal(SIGINT);
  const ProcessResult result = plant.Wait(Process::Seconds(20));
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.exit_code, 128 + SIGINT) << result.output;
}

}  // namespace
}  // namespace trestle
