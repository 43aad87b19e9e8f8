// The proof of checkpoints: a training under mpirun is killed at a random moment, a rank, a
// dedicated server or mpirun itself, goes on with another number of ranks and servers, is killed
// again, and so on. At its end it has the digest of the training that was left alone and a complete
// ledger.
//
// TRESTLE_KILLS is how many kills there are in all (tests/fault/kill.sh --long: 300). Every chain
// of kills prints its seed; TRESTLE_KILL_SEED=n begins with the chain of seed n.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/job_killer.h"
#include "tests/support/killed_job.h"

namespace trestle {
namespace {

constexpr int kKillsOfAChain = 6;

// How many kills there are to be.
int Wanted() {
  const char* text = std::getenv("TRESTLE_KILLS");
  return text != nullptr ? std::stoi(text) : 60;
}

class Kill : public testing::Test {
 protected:
  // One training from its beginning to its end; kills at most `most` starts of it. How many.
  int Chain(uint64_t seed, int most) {
    std::cout << "chain of TRESTLE_KILL_SEED=" << seed << std::endl;
    SCOPED_TRACE("TRESTLE_KILL_SEED=" + std::to_string(seed));
    JobKiller killer(job_.Checkpoints("run"), alone_, seed);
    job_.Forget("run");
    std::vector<std::string> more = {"--resume", "latest"};
    if (killer.Random(2) == 0) {
      more.insert(more.end(),
                  {"--set", "checkpoint.incremental=true", "--set", "checkpoint.full_every=3"});
    }
    int kills = 0;
    // Every start ends by a kill or as the last one, but for those that find the folder still held
    // by ranks that are dying.
    for (int starts = 0; starts < 50 * kKillsOfAChain; ++starts) {
      JobShape shape;
      shape.ranks = 1 + killer.Random(4);
      shape.servers = killer.Random(std::min(3, shape.ranks));
      Process process(job_.Train(shape, "run", more));
      const bool struck = kills < most && killer.Strike(process, shape.ranks);
      const ProcessResult result =
          struck ? EndOfStruck(&process, shape.ranks) : process.Wait(Process::Seconds(120));
      EXPECT_FALSE(result.timed_out) << result.output;
      EXPECT_EQ(Count(result.output, "WARNING: "), 0) << result.output;
      if (result.exit_code == 0) {
        EXPECT_EQ(LineAfter(result.output, "\ndigest "), digest_) << result.output;
        ExpectSameEnd(job_.Folder("alone"), job_.Folder("run"));
        return kills;
      }
      const bool held = result.exit_code == ExitCode(StatusCode::kInUse);
      EXPECT_TRUE(struck || held) << "a start failed by itself\n" << result.output;
      if (testing::Test::HasFailure()) {
        job_.PrintFolder("run");
        return kills;
      }
      if (!struck) continue;
      ++kills;
      std::cout << "  " << shape.ranks << " ranks, " << shape.servers << " servers: killed "
                << killer.what() << std::endl;
    }
    ADD_FAILURE() << "the training does not come to its end";
    return kills;
  }

  void SetUp() override {
    AdoptOrphans();
    alone_ = TimeOf(job_.Train({3, 0}, "alone"));
    job_.Forget("alone");
    const ProcessResult result = RunCommand(job_.Train({1, 0}, "alone"));
    digest_ = LineAfter(result.output, "\ndigest ");
    ASSERT_EQ(digest_.size(), 16u) << result.output;
  }

  const KilledJob job_;
  std::chrono::milliseconds alone_{0};
  std::string digest_;
};

TEST_F(Kill, AnywhereEndsInTheSameBitsAndACompleteLedger) {
  const int wanted = Wanted();
  uint64_t seed = KillSeed();
  int kills = 0, chains = 0;
  // A chain in which no kill hits its job in time does not count; most have all six.
  for (; kills < wanted && chains < wanted && !HasFailure(); ++chains) {
    kills += Chain(seed++, kKillsOfAChain);
    ExpectOrphansEnd();
  }
  EXPECT_GE(kills, wanted);
  std::cout << kills << " kills in " << chains << " trainings" << std::endl;
}

}  // namespace
}  // namespace trestle
