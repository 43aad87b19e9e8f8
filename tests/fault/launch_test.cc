// `trestle launch` brings a training to its end although it is killed again and again, unattended:
// the digest of the one that was left alone, a complete ledger, and a line for each kill.
#include <gtest/gtest.h>

#include <iostream>
#include <string>

#include "tests/support/job_killer.h"
#include "tests/support/killed_job.h"

namespace trestle {
namespace {

TEST(LaunchUnderKills, EndsInTheSameBits) {
  constexpr int kKills = 6;
  const KilledJob job;
  const auto alone = TimeOf(job.Train({3, 0}, "alone"));
  for (const int servers : {0, 1}) {
    const uint64_t seed = KillSeed();
    SCOPED_TRACE("TRESTLE_KILL_SEED=" + std::to_string(seed));
    std::cout << "TRESTLE_KILL_SEED=" << seed << std::endl;
    job.Forget("run");
    JobKiller killer(job.Checkpoints("run"), alone, seed);
    Process process(job.Launch({3, servers}, "run", 20));
    int kills = 0;
    for (; kills < kKills && killer.Strike(process, 3); ++kills) {
      std::cout << "  killed " << killer.what() << std::endl;
      ASSERT_TRUE(process.WaitForOutput("; start " + std::to_string(kills + 2) + " of at most 21"));
    }
    const ProcessResult result = process.Wait();
    EXPECT_EQ(result.exit_code, 0) << result.output;
    EXPECT_GT(kills, 0);
    EXPECT_EQ(Count(result.output, "trestle: launch: "), kills) << result.output;
    EXPECT_EQ(Count(result.output, "was killed by signal 9 (Killed)"), kills) << result.output;
    ExpectSameEnd(job.Folder("alone"), job.Folder("run"));
  }
}

}  // namespace
}  // namespace trestle
