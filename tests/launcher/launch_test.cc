// `trestle launch` over small shell programs in mpirun's place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/launch/launch.h"
#include "launcher/launch/output_watch.h"
#include "launcher/launch/run_standing.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

class Launch : public testing::Test {
 protected:
  Launch() {
    dir_.Write("config.textproto",
               "data { train: \"t.parquet\" label: \"click\" }\n"
               "features { id { columns: \"user\" dim: 4 } }\n"
               "model { base {} }\n"
               "checkpoint { dir: \"" +
                   dir_.Join("run") + "\" }\n");
  }

  // `body` is the fake mpirun: $START counts its starts from 1, `checkpoint NAME` and `log STEP`
  // leave what a real job would.
  Command Supervise(const std::string& body, const std::vector<std::string>& more = {},
                    const std::string& backoff = "0.01") {
    const std::string script = dir_.Write(
        "bin/mpirun",
        "#!/bin/bash\n"
        "RUN=" +
            dir_.Join("run") +
            "\n"
            "mkdir -p $RUN/checkpoints\n"
            "echo start >> $RUN/starts\n"
            "START=$(wc -l < $RUN/starts)\n"
            "echo '{\"event\":\"start\"}' >> $RUN/metrics.jsonl\n"
            "log() { echo '{\"event\":\"train\",\"step\":'$1'}' >> $RUN/metrics.jsonl; }\n"
            "checkpoint() { mkdir -p $RUN/checkpoints/$1; : > $RUN/checkpoints/$1/MANIFEST.json; "
            "}\n" +
            body + "\n");
    CHECK_EQ(::chmod(script.c_str(), 0755), 0);
    std::vector<std::string> arguments = {
        "launch", dir_.Join("config.textproto"), "--np", "3", "--backoff", backoff};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Command command = JobCommand({1, false, arguments});
    command.env["PATH"] = dir_.Join("bin") + ":" + std::getenv("PATH");
    return command;
  }
  int Starts() const {
    return Count(*FileSystem::Local().Read(dir_.Join("run/starts")), "start\n");
  }

  TempDir dir_{"launch"};
};

// Readable once the process has ended.
bool Ends(pid_t pid) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return true;
  pollfd ending{fd, POLLIN, 0};
  const bool ended = ::poll(&ending, 1, /*milliseconds=*/20'000) == 1;
  ::close(fd);
  return ended;
}

TEST_F(Launch, StartsAgainUntilItSucceeds) {
  const ProcessResult result = RunCommand(Supervise(
      "echo \"$@\"\n"
      "if [ $START = 1 ]; then\n"
      "  checkpoint step-00000020.1; mkdir $RUN/checkpoints/step-00000040.1; log 50\n"
      "  echo 'mpirun noticed that process rank 1 with PID 7 on node n7 exited on signal 9 "
      "(Killed).' >&2; exit 137\n"
      "fi\n"
      "if [ $START = 2 ]; then kill -9 $$; fi\n"
      "echo fine",
      {"--servers", "1", "--hosts", "a:2,b:1", "--set", "train.seed=5", "--", "-x", "NAME"}));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(Starts(), 3);
  EXPECT_EQ(Count(result.output, "-np 3 --host a:2,b:1 -x NAME " + TrestleProgram() + " train " +
                                     dir_.Join("config.textproto") +
                                     " --resume latest --set train.seed=5 "
                                     "--set cluster.servers=1\n"),
            3)
      << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("trestle: launch: rank 1 on n7 was killed by signal 9 (Killed) after step "
                        "50; the last good checkpoint is step-00000020.1, 30 steps are lost; start "
                        "2 of at most 4 in 0.01 s\n"));
  EXPECT_THAT(result.output,
              HasSubstr("trestle: launch: mpirun was killed by signal 9 (Killed) after step 20; "));
  EXPECT_EQ(Count(result.output, "trestle: launch: "), 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("fine\n"));
}

TEST_F(Launch, GivesUpAtTheLimitWithTheLastCode) {
  const ProcessResult result = RunCommand(Supervise(
      "echo 'trestle: error: rank 2, step 7: peer 0: gone' >&2; exit 9", {"--restarts", "2"}));
  EXPECT_EQ(result.exit_code, 9) << result.output;
  EXPECT_EQ(Starts(), 3);
  EXPECT_THAT(
      result.output,
      HasSubstr("mpirun ended with code 9: rank 2, step 7: peer 0: gone after step 0; there "
                "is no checkpoint yet, 0 steps are lost; no restarts are left of 2\n"));
}

TEST_F(Launch, WaitsTwiceAsLongEachTimeUnlessAStartGotOn) {
  const ProcessResult result = RunCommand(
      Supervise("[ $START = 3 ] && checkpoint step-00000020.3\n"
                "[ $START = 4 ] && checkpoint step-00000020.4  # written again is no progress\n"
                "exit 5",
                {"--restarts", "5"}));
  std::vector<std::string> waits;
  for (std::string rest = result.output; !LineAfter(rest, "of at most 6 in ").empty();) {
    waits.push_back(LineAfter(rest, "of at most 6 in "));
    rest = rest.substr(rest.find("of at most 6 in ") + 1);
  }
  EXPECT_THAT(waits, testing::ElementsAre("0.01 s", "0.02 s", "0.01 s", "0.02 s", "0.04 s"))
      << result.output;
}

TEST_F(Launch, DoesNotRepeatWhatARestartCannotCure) {
  for (const int code : {2, 3, 4, 7, 12, 130}) {
    std::filesystem::remove_all(dir_.Join("run"));
    const ProcessResult result = RunCommand(Supervise("exit " + std::to_string(code)));
    EXPECT_EQ(result.exit_code, code) << result.output;
    EXPECT_EQ(Starts(), 1);
    EXPECT_EQ(Count(result.output, "trestle: launch: "), 1) << result.output;
  }
}

// The ranks of a dead start on another host may hold the folder for a moment.
TEST_F(Launch, AFolderStillInUseIsTriedAgain) {
  const ProcessResult result = RunCommand(Supervise(
      "[ $START = 2 ] && exit 0\n"
      "echo 'trestle: error: runs/x is in use by another run (pid 71 on host a); set ...' >&2\n"
      "exit 13"));
  EXPECT_EQ(result.exit_code, 0) << result.output;
}

TEST_F(Launch, StopSignalsArePassedOnAndEndTheSupervision) {
  for (const char* signal : {"INT", "TERM", "USR2"}) {
    std::filesystem::remove_all(dir_.Join("run"));
    const ProcessResult result =
        RunCommand(Supervise("trap 'echo heard; exit 1' " + std::string(signal) +
                             "\n"
                             "kill -" +
                             signal +
                             " $PPID\n"
                             "while :; do sleep 0.01; done"));
    EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
    EXPECT_EQ(Starts(), 1);
    EXPECT_THAT(result.output, HasSubstr("heard\n"));
    EXPECT_THAT(result.output, HasSubstr("; stopped on request\n"));
  }
}

TEST_F(Launch, User1IsOnlyPassedOn) {
  const ProcessResult result =
      RunCommand(Supervise("trap 'echo heard; exit 5' USR1\n"
                           "[ $START = 2 ] && exit 0\n"
                           "kill -USR1 $PPID\n"
                           "while :; do sleep 0.01; done"));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(Starts(), 2) << "a failure after it is a failure like any other";
  EXPECT_THAT(result.output, HasSubstr("heard\n"));
}

TEST_F(Launch, ASignalBetweenTwoStartsEndsIt) {
  Process process(Supervise("exit 5", {}, "600"));
  ASSERT_TRUE(process.WaitForOutput("start 2 of at most 4 in 600 s"));
  process.Signal(SIGUSR1);  // no job to pass it on to
  process.Signal(SIGINT);
  const ProcessResult result = process.Wait(Process::Seconds(60));
  EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
  EXPECT_EQ(Starts(), 1);
}

// Ranks are in process groups of their own, as `set -m` makes them here, and hold the output open.
TEST_F(Launch, WhatOutlivesMpirunIsKilledBeforeTheNextStart) {
  const ProcessResult result = RunCommand(
      Supervise("set -m\n"
                "if [ $START = 1 ]; then sleep 1000 & echo $! > $RUN/rank; kill -9 $$; fi\n"
                "grep -q '^State:.[^Z]' /proc/$(cat $RUN/rank)/status && exit 2\n"
                "exit 0"));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(Starts(), 2);
}

// A real one does that now and then when a rank dies in MPI_Init.
TEST_F(Launch, AnMpirunThatForgetsToEndIsKilled) {
  LaunchOptions options;
  options.command = {"bash", "-c",
                     "mkdir " + dir_.Join("first") +
                         " || exit 0\n"  // the second start is fine
                         // Long enough to be seen alive, on the busiest machine.
                         "sleep 3 & exec sleep 1000"};
  options.run_folder = dir_.Join("run");
  options.restarts = 1;
  options.first_wait = std::chrono::milliseconds(1);
  options.longest_end = std::chrono::milliseconds(400);
  testing::internal::CaptureStderr();
  EXPECT_EQ(trestle::Launch(FileSystem::Local(), options), 0);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("bash does not end although its processes are dead: it is killed\n"));
  EXPECT_THAT(said, HasSubstr("bash was killed by signal 9 (Killed) after step 0; "));
}

TEST_F(Launch, AnMpirunThatStartsSlowlyIsLeftAlone) {
  LaunchOptions options;
  options.command = {"sleep", "1"};
  options.run_folder = dir_.Join("run");
  options.longest_end = std::chrono::milliseconds(100);
  EXPECT_EQ(trestle::Launch(FileSystem::Local(), options), 0);
}

TEST_F(Launch, TheJobEndsWithItsSupervisor) {
  Process process(
      Supervise("echo pid $$\n"
                "echo up\n"
                "exec sleep 1000"));
  ASSERT_TRUE(process.WaitForOutput("up\n"));
  process.Signal(SIGKILL);
  const ProcessResult result = process.Wait();
  EXPECT_EQ(result.exit_code, 128 + SIGKILL);
  EXPECT_TRUE(Ends(std::stoi(LineAfter(result.output, "pid "))));
}

TEST_F(Launch, AWrongConfigOrNoMpirunIsAnErrorAtOnce) {
  Command command = Supervise("exit 0", {"--set", "batch.rows=-1"});
  ProcessResult result = RunCommand(command);
  EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInvalidConfig)) << result.output;
  EXPECT_FALSE(FileSystem::Local().Exists(dir_.Join("run/starts")));

  command = Supervise("exit 0");
  command.env["PATH"] = dir_.Join("nothing");
  result = RunCommand(command);
  EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kNotFound)) << result.output;
  EXPECT_EQ(result.output, "trestle: error: cannot start mpirun: No such file or directory\n");
}

TEST(OutputWatch, KnowsTheFirstRankThatDied) {
  OutputWatch watch;
  for (const char c : std::string_view(
           "trestle: error: rank 2, step 7, pull: peer 0: gone\n"
           "trestle: error: another\n"
           "Primary job  terminated normally, but 1 process returned\n"
           "mpirun detected that one or more processes exited with non-zero status, thus causing\n"
           "the job to be terminated. The first process to do so was:\n\n"
           "  Process name: [[37391,1],2]\n"
           "  Exit code:    9\n"
           "mpirun noticed that process rank 0 with PID 0 on node n exited on signal 9 "
           "(Killed).\n")) {
    watch.Add({&c, 1});
  }
  EXPECT_EQ(watch.died(), "rank 2 ended with code 9");
  EXPECT_EQ(watch.error(), "rank 2, step 7, pull: peer 0: gone");
}

TEST(OutputWatch, KnowsALostHost) {
  OutputWatch watch;
  watch.Add("  HNP daemon   : [[53024,0],0] on node a\n  Remote daemon: [[53024,0],1] on node b\n");
  EXPECT_EQ(watch.died(), "b was lost");
}

TEST(OutputWatch, ForgetsLongLines) {
  OutputWatch watch;
  for (int i = 0; i < 1000; ++i) watch.Add(std::string(1000, 'x'));
  watch.Add("\ntrestle: error: " + std::string(100'000, 'y') + "\n");
  EXPECT_LT(watch.error().size(), 5000u);
  EXPECT_EQ(watch.died(), "");
}

TEST(RunStanding, IsTheNewestCompleteCheckpointAndTheLastStepOfTheNewestStart) {
  const TempDir dir;
  FileSystem& fs = FileSystem::Local();
  RunStanding standing = *ReadRunStanding(fs, dir.Join("run"), dir.Join("run/checkpoints"));
  EXPECT_EQ(standing.checkpoint, "");
  EXPECT_EQ(standing.last_step, 0);

  dir.Write("run/checkpoints/step-00000060.1/MANIFEST.json", "{}");
  dir.Write("run/checkpoints/step-00000020.2/MANIFEST.json", "{}");
  dir.Write("run/checkpoints/step-00000080.2/dense.safetensors", "");
  dir.Write("run/metrics.jsonl",
            "{\"event\":\"start\"}\n{\"event\":\"train\",\"step\":70}\n"
            "{\"event\":\"tra\n"
            "{\"event\":\"start\"}\n");
  standing = *ReadRunStanding(fs, dir.Join("run"), dir.Join("run/checkpoints"));
  EXPECT_EQ(standing.checkpoint, "step-00000020.2") << "later attempts come after earlier ones";
  EXPECT_EQ(standing.last_step, 20) << "the newest start has told of no step yet";
  EXPECT_EQ(standing.lost(), 0);

  dir.Write("run/metrics.jsonl",
            "{\"event\":\"start\",\"command\":\"train\"}\n"
            "{\"event\":\"train\",\"step\":70}\n"
            "{\"event\":\"start\",\"command\":\"eval\"}\n");
  EXPECT_EQ(ReadRunStanding(fs, dir.Join("run"), dir.Join("run/checkpoints"))->last_step, 70)
      << "an evaluation starts no training";

  std::string log;
  for (int i = 0; i < 100'000; ++i)
    log += "{\"event\":\"train\",\"step\":" + std::to_string(i) + "}\n";
  dir.Write("run/metrics.jsonl", log);
  EXPECT_EQ(ReadRunStanding(fs, dir.Join("run"), dir.Join("run/checkpoints"))->last_step, 99'999);
}

}  // namespace
}  // namespace trestle
