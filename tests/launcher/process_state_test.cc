// Signals and logs: state of a process, so each test runs in one of its own.
#include <glog/logging.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>

#include "launcher/logging.h"
#include "launcher/signals.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

// Death tests fork; the child's exit code is the verdict.
[[noreturn]] void Verdict(bool good) { _exit(good ? 0 : 1); }

class SignalsDeathTest : public ::testing::Test {
 protected:
  // A fresh process: libraries have started threads in this one, which a plain fork loses.
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};
using LoggingDeathTest = SignalsDeathTest;

constexpr int kTaken[] = {SIGINT, SIGTERM, SIGUSR2};

// Spins until the thread that takes signals has seen the one just sent.
void AwaitRequest() {
  while (!StopRequested()) std::this_thread::yield();
}

TEST_F(SignalsDeathTest, FirstSignalOnlyAsksToStop) {
  for (const int signal : kTaken) {
    EXPECT_EXIT(
        {
          const StopSignals signals;
          StopAtStepBoundaries();
          const bool before = StopRequested();
          kill(getpid(), signal);
          AwaitRequest();
          kill(getpid(), SIGTERM);  // again, from a batch system: no reason to lose the model
          Verdict(!before);
        },
        ::testing::ExitedWithCode(0), "");
  }
}

TEST_F(SignalsDeathTest, SecondInterruptExitsWith130) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        StopAtStepBoundaries();
        kill(getpid(), SIGINT);
        AwaitRequest();
        kill(getpid(), SIGINT);
        while (true) pause();
      },
      ::testing::ExitedWithCode(130), "");
}

TEST_F(SignalsDeathTest, BeforeTheFirstStepASignalExitsWith130) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        kill(getpid(), SIGTERM);
        while (true) pause();
      },
      ::testing::ExitedWithCode(130), "");
}

TEST_F(SignalsDeathTest, OutsideOfARunTheActionIsTheSystems) {
  EXPECT_EXIT(
      {
        { const StopSignals signals; }
        kill(getpid(), SIGINT);
        while (true) pause();
      },
      ::testing::KilledBySignal(SIGINT), "");
}

// A handler would run on the stack of whatever thread computes (docs/architecture.md, "Signals").
TEST_F(SignalsDeathTest, NoHandlerIsInstalled) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        bool none = true;
        for (const int signal : kTaken) {
          struct sigaction action = {};
          none = none && sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
        }
        Verdict(none);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(SignalsDeathTest, ComputingThreadsNeverTakeTheSignal) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        sigset_t here;
        sigset_t there;
        pthread_sigmask(SIG_BLOCK, nullptr, &here);
        std::thread([&] { pthread_sigmask(SIG_BLOCK, nullptr, &there); }).join();
        bool blocked = true;
        for (const int signal : kTaken) {
          blocked = blocked && sigismember(&here, signal) == 1 && sigismember(&there, signal) == 1;
        }
        Verdict(blocked);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(SignalsDeathTest, BrokenPipeIsAnErrorAndNotTheEnd) {
  EXPECT_EXIT(
      {
        IgnoreBrokenPipes();
        int ends[2];
        if (pipe(ends) != 0) Verdict(false);
        close(ends[0]);
        Verdict(write(ends[1], "x", 1) == -1 && errno == EPIPE);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(LoggingDeathTest, RankLogsToItsFileAndOnlyErrorsToStderr) {
  // The fresh process runs this test from the start, and must use this one's folder.
  constexpr char kFolder[] = "TRESTLE_TEST_LOG_FOLDER";
  const TempDir dir;
  setenv(kFolder, dir.path().c_str(), 0);
  const std::string folder = getenv(kFolder);
  EXPECT_EXIT(
      {
        StartLogging("trestle");
        if (!LogToFolder(FileSystem::Local(), folder, Rank{3}).ok()) Verdict(false);
        LOG(INFO) << "a quiet line";
        LOG(WARNING) << "a warning line";
        LOG(ERROR) << "a loud line";
        google::FlushLogFiles(google::GLOG_INFO);
        Verdict(true);
      },
      ::testing::ExitedWithCode(0), "^[^\n]*a loud line\n$");
  const Result<std::string> log = FileSystem::Local().Read(dir.Join("logs/rank-3.log"));
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  for (const char* line : {"a quiet line", "a warning line", "a loud line"}) {
    EXPECT_NE(log->find(line), std::string::npos) << line;
  }
  EXPECT_EQ(FileSystem::Local().List(dir.Join("logs"))->size(), 1u);
}

}  // namespace
}  // namespace trestle
