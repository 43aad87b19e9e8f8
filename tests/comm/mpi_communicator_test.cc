// The MPI communicator under the real mpirun: each test is one job of mpi_contract_main.cc.
#include "comm/mpi_communicator.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace trestle {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

struct JobResult {
  int exit_code;
  std::string output;  // stdout and stderr
};

JobResult RunJob(int ranks, const std::string& mode) {
  const std::string command =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
      "OMPI_MCA_rmaps_base_oversubscribe=1 "
      // Open MPI itself leaks, and TSan knows nothing of its locks.
      "ASAN_OPTIONS=detect_leaks=0 "
      "TSAN_OPTIONS=ignore_noninstrumented_modules=1:suppressions=" TRESTLE_SOURCE_DIR
      "/tests/support/tsan.supp " TRESTLE_MPIEXEC " -np " +
      std::to_string(ranks) + " --bind-to none " TRESTLE_MPI_CONTRACT " " + mode + " 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  JobResult result;
  char buffer[4096];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    result.output.append(buffer, n);
  }
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

int CountOf(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

class MpiContract : public ::testing::TestWithParam<int> {};

TEST_P(MpiContract, Holds) {
  const JobResult job = RunJob(GetParam(), "contract");
  EXPECT_EQ(job.exit_code, 0) << job.output;
  EXPECT_THAT(job.output, HasSubstr("contract held on Open MPI "));
}

INSTANTIATE_TEST_SUITE_P(Ranks, MpiContract, ::testing::Values(1, 2, 3, 5));

TEST(MpiCommunicator, HoldsTheContractWithMessagesInParts) {
  const JobResult job = RunJob(3, "contract-in-parts");
  EXPECT_EQ(job.exit_code, 0) << job.output;
}

TEST(MpiCommunicator, MembersLimitAStream) {
  const JobResult job = RunJob(5, "members");
  EXPECT_EQ(job.exit_code, 0) << job.output;
}

TEST(MpiCommunicator, APassedDeadlineNamesRankStepPhaseStreamAndWhoIsMissing) {
  const JobResult job = RunJob(3, "missing");
  EXPECT_EQ(job.exit_code, ExitCode(StatusCode::kDeadlineExceeded)) << job.output;
  EXPECT_THAT(job.output, HasSubstr("rank 0, step 17, pull on rows: waited 0.3 s for rank 2\n"));
  EXPECT_THAT(job.output, HasSubstr("rank 0, step 18, dense on dense: no more communication after: "
                                    "rank 0, step 17, pull on rows: waited 0.3 s for rank 2\n"));
}

TEST(MpiCommunicator, AnOperationsOwnLimitReplacesTheDeadline) {
  const JobResult late = RunJob(2, "late");
  EXPECT_EQ(late.exit_code, 0) << late.output;
  const JobResult missing = RunJob(2, "missing-in-short-wait");
  EXPECT_EQ(missing.exit_code, ExitCode(StatusCode::kDeadlineExceeded)) << missing.output;
  EXPECT_THAT(missing.output, HasSubstr("rank 0, saving on control: waited 0.3 s for rank 1\n"));
}

TEST(MpiCommunicator, ARankThatNeverStartsMpiIsNotWaitedForForEver) {
  const JobResult job = RunJob(2, "missing-at-start");
  EXPECT_EQ(job.exit_code, ExitCode(StatusCode::kDeadlineExceeded)) << job.output;
  EXPECT_THAT(job.output, HasSubstr("trestle: error: rank 0: waited 11 s for MPI to start; some "
                                    "rank has not reached it\n"));
}

TEST(MpiCommunicator, ARankThatLeavesEarlyIsMissedToo) {
  const JobResult job = RunJob(2, "missing-at-end");
  EXPECT_EQ(job.exit_code, ExitCode(StatusCode::kDeadlineExceeded)) << job.output;
}

TEST(MpiCommunicator, AbortEndsTheJobWithItsCodeAndSaysWhyOnce) {
  const JobResult job = RunJob(3, "abort");
  EXPECT_EQ(job.exit_code, 7) << job.output;
  EXPECT_EQ(CountOf(job.output, "trestle: the disk is full\n"), 1) << job.output;
}

TEST(MpiCommunicator, AbortWorksWhileTheProgressThreadIsBusy) {
  const JobResult job = RunJob(2, "abort-beside-a-wait");
  EXPECT_EQ(job.exit_code, 7) << job.output;
  EXPECT_EQ(CountOf(job.output, "trestle: the disk is full\n"), 1) << job.output;
}

// Without the end of the others the job would last for its deadline of an hour.
TEST(MpiCommunicator, AKilledRankEndsTheJob) {
  const JobResult job = RunJob(3, "killed");
  EXPECT_EQ(job.exit_code, 128 + SIGKILL) << job.output;
}

TEST(MpiCommunicator, DisagreementOnASizeIsNamed) {
  const JobResult too_short = RunJob(2, "short");
  EXPECT_EQ(too_short.exit_code, ExitCode(StatusCode::kInternal)) << too_short.output;
  EXPECT_THAT(too_short.output,
              HasSubstr("rank 1, step 17, pull on rows: rank 0 sent 8 bytes where "
                        "12 were expected\n"));
  const JobResult too_long = RunJob(2, "long");
  EXPECT_EQ(too_long.exit_code, ExitCode(StatusCode::kInternal)) << too_long.output;
  EXPECT_THAT(too_long.output, HasSubstr("rank 1, step 17, pull on rows: rank 0 sent more than the "
                                         "8 bytes expected\n"));
}

TEST(MpiCommunicator, KnowsItsVersion) {
  EXPECT_THAT(MpiVersion(), MatchesRegex("Open MPI [0-9]+\\.[0-9]+\\.[0-9]+.*"));
}

TEST(StartedUnderMpi, LooksAtTheEnvironment) {
  EXPECT_FALSE(StartedUnderMpi());
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"}) {
    setenv(name, "0", 1);
    EXPECT_TRUE(StartedUnderMpi()) << name;
    unsetenv(name);
  }
}

}  // namespace
}  // namespace trestle
