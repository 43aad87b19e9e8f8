// `trestle launch` brings a training to its end although it is killed again and again, unattended:
// the digest of the one that was left alone, a complete ledger, and a line for each kill.
#include <gtest/gtest.h>

#include <iostream>
#include <string>

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
    EXPECT_EQ(Count(result.output, " was killed by signal 9 (Killed)"), kills) << result.output;
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

}  // namespace
}  // namespace trestle
