// Day by day: three starts with the files of three days, each killed once on the way and started
// again with the same command line, end as three starts that were left alone.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/job_killer.h"
#include "tests/support/killed_job.h"

namespace trestle {
namespace {

class Days : public testing::Test {
 protected:
  static std::vector<std::string> Of(const std::string& files) {
    return {"--resume", "latest", "--next-segment", "--set", "data.train=" + files};
  }

  void Copy(const std::string& from, const std::string& to) const {
    job_.Forget(to);
    std::filesystem::create_directories(job_.Folder(from));
    std::filesystem::copy(job_.Folder(from), job_.Folder(to),
                          std::filesystem::copy_options::recursive);
  }

  // The same command line until it succeeds, with a kill in the first start. Whether it hit.
  bool TrainDay(const std::vector<std::string>& more, JobKiller* killer) const {
    bool killed = false;
    for (int starts = 0; starts < 100; ++starts) {
      const JobShape shape{1 + killer->Random(4), 0};
      Process process(job_.Train(shape, "run", more));
      const bool struck = !killed && killer->Strike(process, shape.ranks);
      const ProcessResult result =
          struck ? EndOfStruck(&process, shape.ranks) : process.Wait(Process::Seconds(120));
      EXPECT_FALSE(result.timed_out) << result.output;
      if (result.exit_code == 0) return killed;
      const bool held = result.exit_code == ExitCode(StatusCode::kInUse);
      EXPECT_TRUE(struck || held) << result.output;
      if (testing::Test::HasFailure()) return killed;
      if (struck) std::cout << "  killed " << killer->what() << std::endl;
      killed = killed || struck;
    }
    ADD_FAILURE() << "the day does not come to its end";
    return killed;
  }

  const KilledJob job_;
};

TEST_F(Days, KilledOnceEachEndAsThreeThatWereLeftAlone) {
  const uint64_t seed = KillSeed();
  SCOPED_TRACE("TRESTLE_KILL_SEED=" + std::to_string(seed));
  std::cout << "TRESTLE_KILL_SEED=" << seed << std::endl;
  AdoptOrphans();
  std::chrono::milliseconds alone{0};
  for (int day = 0; day < 3; ++day) {
    alone = TimeOf(job_.Train({2, 0}, "alone", Of(job_.WriteDay(day))));
  }

  JobKiller killer(job_.Checkpoints("run"), alone, seed);
  for (int day = 0; day < 3; ++day) {
    const std::vector<std::string> more = Of(job_.WriteDay(day));
    Copy("run", "before");
    bool killed = false;
    for (int tries = 0; !killed && tries < 20; ++tries) {  // a day may end before its kill
      Copy("before", "run");
      killed = TrainDay(more, &killer);
    }
    EXPECT_TRUE(killed) << "day " << day;
  }
  ExpectSameEnd(job_.Folder("alone"), job_.Folder("run"));
  ExpectOrphansEnd();
}

// The same command line again has nothing to do; the next day's needs the one before to be done.
TEST_F(Days, ADayThatIsDoneIsNotTrainedAgain) {
  const std::string first = job_.WriteDay(0), second = job_.WriteDay(1);
  EXPECT_EQ(RunCommand(job_.Train({1, 0}, "run", Of(first))).exit_code, 0);
  const ProcessResult once = RunCommand(job_.Train({2, 0}, "run", Of(second)));
  const ProcessResult again = RunCommand(job_.Train({1, 0}, "run", Of(second)));
  EXPECT_EQ(once.exit_code, 0) << once.output;
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_EQ(LineAfter(again.output, "\ndigest "), LineAfter(once.output, "\ndigest "));
}

}  // namespace
}  // namespace trestle
