// `trestle launch` brings a training to its end although it is killed again and again, unattended:
// the digest of the one that was left alone, a complete ledger, and a line for each kill.
#include <gtest/gtest.h>
#include <signal.h>

#include <iostream>
#include <string>

#include "base/status.h"
#include "tests/support/job_killer.h"
#include "tests/support/killed_job.h"

namespace trestle {
namespace {

constexpr int kKillsOfATraining = 6;

class LaunchUnderKills : public testing::Test {
 protected:
  // One training from its beginning to its end. How many kills hit it.
  int Train(uint64_t seed, int servers) {
    std::cout << "TRESTLE_KILL_SEED=" << seed << ", " << servers << " servers" << std::endl;
    SCOPED_TRACE("TRESTLE_KILL_SEED=" + std::to_string(seed));
    job_.Forget("run");
    JobKiller killer(job_.Checkpoints("run"), alone_, seed);
    Process process(job_.Launch({3, servers}, "run", 20));
    int kills = 0;
    while (kills < kKillsOfATraining && killer.Strike(process, 3)) {
      ++kills;
      std::cout << "  killed " << killer.what() << std::endl;
      const std::string next = "; start " + std::to_string(kills + 1) + " of at most 21";
      if (!process.WaitForOutput(next)) break;  // said below
    }
    const ProcessResult result = process.Wait();
    EXPECT_EQ(result.exit_code, 0) << result.output;
    EXPECT_EQ(Count(result.output, "trestle: launch: "), kills) << result.output;
    // Of a rank that is killed before MPI knows it, mpirun gives no more than the code.
    EXPECT_EQ(Count(result.output, " was killed by signal 9 (Killed)") +
                  Count(result.output, "mpirun ended with code 137"),
              kills)
        << result.output;
    ExpectSameEnd(job_.Folder("alone"), job_.Folder("run"));
    return kills;
  }

  const KilledJob job_;
  const std::chrono::milliseconds alone_ = TimeOf(job_.Train({3, 0}, "alone"));
};

TEST_F(LaunchUnderKills, EndsInTheSameBits) {
  uint64_t seed = KillSeed();
  int kills = 0;
  // A moment may not come before the training ends, the first one neither.
  for (int trainings = 0; kills < 2 * kKillsOfATraining && trainings < 30; ++trainings) {
    kills += Train(seed++, trainings % 2);
    if (HasFailure()) break;
  }
  EXPECT_GE(kills, 2 * kKillsOfATraining);
}

// What a batch system does ahead of its time limit.
TEST_F(LaunchUnderKills, User2StopsWithACheckpointAndTheNextLaunchGoesOn) {
  job_.Forget("run");
  Process process(job_.Launch({2, 0}, "run", 5, {"--set", "train.log_every_s=0.01"}));
  ASSERT_TRUE(process.WaitForOutput("step 3"));
  process.Signal(SIGUSR2);
  const ProcessResult stopped = process.Wait();
  EXPECT_EQ(stopped.exit_code, ExitCode(StatusCode::kInterrupted)) << stopped.output;
  EXPECT_EQ(Count(stopped.output, "; stopped on request\n"), 1) << stopped.output;
  EXPECT_EQ(Count(stopped.output, " 0 steps are lost; "), 1) << stopped.output;
  const ProcessResult rest = RunCommand(job_.Launch({3, 1}, "run", 5));
  EXPECT_EQ(rest.exit_code, 0) << rest.output;
  ExpectSameEnd(job_.Folder("alone"), job_.Folder("run"));
}

}  // namespace
}  // namespace trestle
