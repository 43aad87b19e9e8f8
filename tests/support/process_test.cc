#include "tests/support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>

#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

Command Shell(const std::string& script) { return {{"sh", "-c", script}, {}, ""}; }

// Whether the process is there and is not a zombie that only waits for its parent.
bool Runs(pid_t pid) {
  return RunCommand(Shell("grep -q '^State:.[^ZX]' /proc/" + std::to_string(pid) + "/status"))
             .exit_code == 0;
}

TEST(Process, GivesOutputAndExitCode) {
  const ProcessResult result = RunCommand(Shell("echo to stdout; echo to stderr >&2; exit 7"));
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.output, "to stdout\nto stderr\n");
  EXPECT_FALSE(result.timed_out);
}

TEST(Process, PassesEnvironmentAndFolder) {
  TempDir dir;
  Command command = Shell("echo $TRESTLE_X; pwd -P; test -n \"$PATH\"");
  command.env["TRESTLE_X"] = "a value";
  command.folder = dir.path();
  const ProcessResult result = RunCommand(command);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("a value\n"));
  EXPECT_THAT(result.output, HasSubstr(dir.path() + "\n"));
}

TEST(Process, ReadsMoreThanAPipeHolds) {
  const ProcessResult result = RunCommand(Shell("head -c 3000000 /dev/zero"));
  EXPECT_EQ(result.output.size(), 3'000'000u);
}

TEST(Process, SaysWhyAProgramCannotStart) {
  const ProcessResult result = RunCommand({{"/nowhere/program"}, {}, ""});
  EXPECT_EQ(result.exit_code, 127);
  EXPECT_THAT(result.output, HasSubstr("cannot start /nowhere/program: No such file"));
}

TEST(Process, ReportsDeathBySignal) {
  EXPECT_EQ(RunCommand(Shell("kill -KILL $$")).exit_code, 128 + SIGKILL);
}

TEST(Process, ReceivesASignalWhileItRuns) {
  Process process(
      Shell("trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done"));
  ASSERT_TRUE(process.WaitForOutput("ready"));
  process.Signal(SIGINT);
  const ProcessResult result = process.Wait();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.output, HasSubstr("caught"));
}

TEST(Process, WaitForOutputEndsWithTheProgram) {
  Process process(Shell("echo one"));
  EXPECT_FALSE(process.WaitForOutput("two"));
  EXPECT_EQ(process.Wait().exit_code, 0);
}

TEST(Process, WaitsForAProgramThatClosedItsOutput) {
  const ProcessResult result = RunCommand(Shell("echo said; exec >&- 2>&-; sleep 0.1; exit 4"));
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.output, "said\n");
}

TEST(Process, TimeoutKillsAllThatItStarted) {
  // The grandchild leaves the group, as ranks under mpirun do.
  Process process(Shell("setsid sleep 1000 & echo child $!.; wait"));
  ASSERT_TRUE(process.WaitForOutput(".\n"));
  const ProcessResult result = process.Wait(Process::Seconds(0));
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.exit_code, 128 + SIGKILL);
  const pid_t child = std::stoi(result.output.substr(6));
  ASSERT_GT(child, 1);
  EXPECT_FALSE(Runs(child));
}

TEST(Process, DestructionKillsAllThatItStarted) {
  pid_t shell = 0;
  {
    Process process(Shell("echo ready; sleep 1000"));
    ASSERT_TRUE(process.WaitForOutput("ready"));
    shell = process.pid();
    EXPECT_TRUE(Runs(shell));
  }
  EXPECT_FALSE(Runs(shell));
}

TEST(Mpirun, StartsMoreRanksThanCoresAsRoot) {
  const ProcessResult result =
      RunCommand(Mpirun(5, {"sh", "-c", "echo rank $OMPI_COMM_WORLD_RANK."}));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  for (int rank = 0; rank < 5; ++rank) {
    EXPECT_THAT(result.output, HasSubstr("rank " + std::to_string(rank) + "."));
  }
}

TEST(Mpirun, FindsTheProcessOfARank) {
  Process job(Mpirun(2, {"sh", "-c", "echo ready $OMPI_COMM_WORLD_RANK.; exec sleep 1000"}));
  ASSERT_TRUE(job.WaitForOutput("ready 0."));
  ASSERT_TRUE(job.WaitForOutput("ready 1."));
  const pid_t rank1 = job.RankPid(1);
  ASSERT_GT(rank1, 1);
  EXPECT_NE(rank1, job.RankPid(0));
  EXPECT_EQ(job.RankPid(2), -1);
  ASSERT_EQ(::kill(rank1, SIGKILL), 0);
  EXPECT_EQ(job.Wait().exit_code, 128 + SIGKILL);
}

}  // namespace
}  // namespace trestle
