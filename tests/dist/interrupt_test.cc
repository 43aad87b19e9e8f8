// Ctrl-C while large lanes of real data are computed, at several moments: the run ends by itself,
// and the model that it leaves is whole. (A signal handler on a computing thread once corrupted the
// heap here; launcher/signals.h.)
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "base/status.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

TEST(Interrupt, WhileLanesComputeLeavesAWholeModel) {
  const TempDir folder;
  const std::string config = std::string(TRESTLE_SOURCE_DIR) + "/configs/kuairand_base.textproto";
  const std::string data = std::string(TRESTLE_SOURCE_DIR) + "/data/kuairand/";
  for (int run = 1; run <= 5; ++run) {
    const std::string dir = folder.Join("run" + std::to_string(run));
    JobRun job{1, false, {"train", config}};
    for (const std::string& set :
         {"data.train=" + data + "train.parquet", "data.test=" + data + "test.parquet",
          std::string("batch.rows=8192"), std::string("batch.lanes=4"),
          std::string("train.epochs=100"), std::string("train.log_every_s=0.1"),
          "checkpoint.dir=" + dir}) {
      job.arguments.insert(job.arguments.end(), {"--set", set});
    }
    Process process(JobCommand(job));
    ASSERT_TRUE(process.WaitForOutput("step " + std::to_string(2 * run)) ||
                process.WaitForOutput("step "));
    process.Signal(SIGINT);
    const ProcessResult result = process.Wait(Process::Seconds(120));
    EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
    EXPECT_EQ(Count(result.output, "stopped on request after step"), 1) << result.output;
    const JobResult stored = RunTrestle({1, false, {"digest", dir + "/model"}});
    EXPECT_EQ(LineAfter(result.output, "digest ") + "\n", stored.process.output);
  }
}

}  // namespace
}  // namespace trestle
