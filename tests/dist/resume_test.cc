// A training that goes on from a checkpoint ends as the one that was left alone: the same digest
// and metrics, from any shape of job onto any other, from full checkpoints and from deltas, in the
// middle of an epoch and between two.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/small_job.h"

namespace trestle {
namespace {

class Resume : public ::testing::Test {
 protected:
  // Two epochs of 16 steps, with dropout and Dice, a checkpoint every 5 steps.
  JobResult Train(const Shape& shape, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"train", config_, "--set",
                                          "cluster.servers=" + std::to_string(shape.servers)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    JobResult result = RunTrestle({shape.ranks, shape.mpirun, arguments});
    EXPECT_EQ(result.process.exit_code, 0) << result.process.output;
    return result;
  }
  // Of that attempt, oldest first. How many there are depends on the disk: one that falls due while
  // another is written begins after it.
  std::vector<std::string> Checkpoints(int attempt) const {
    std::vector<std::string> paths;
    std::string end = std::to_string(attempt);
    end.insert(0, 1, '.');
    for (const auto& entry :
         std::filesystem::directory_iterator(small_.run_folder() + "/checkpoints")) {
      const std::string path = entry.path().string();
      if (path.find("/step-") != std::string::npos && path.ends_with(end)) paths.push_back(path);
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  std::string other_run() const { return small_.dir().Join("other"); }

  const SmallJob small_;
  // A rate that is another in every step, and rows with state of every kind.
  const std::string config_ = small_.Config(
      "train { epochs: 2 }\n"
      "optimizer {\n"
      "  embedding { adam { lr: 0.01 } }\n"
      "  schedule { warmup_steps: 7 exponential { decay_steps: 9 } }\n"
      "}\n"
      "tables { name: \"user\" optimizer { ftrl { lr: 0.1 l1: 0.001 } } }\n"
      "loss { mixed {} label_smoothing: 0.05 }\n");
  const std::vector<std::string> often_ = {"--set", "checkpoint.every_steps=5", "--set",
                                           "checkpoint.keep=100"};
};

std::string LastLine(const JobResult& run, const std::string& label) {
  const size_t at = run.process.output.rfind(label);
  return at == std::string::npos ? "" : LineAfter(run.process.output.substr(at), label);
}

void ExpectSameEnd(const JobResult& a, const JobResult& b, const std::string& what) {
  EXPECT_EQ(a.digest.size(), 16u) << a.process.output;
  EXPECT_EQ(a.digest, b.digest) << what << "\n" << b.process.output;
  for (const char* line : {"\ntest  ", "\nledger  "}) {
    EXPECT_EQ(LastLine(a, line), LastLine(b, line)) << what;
  }
}

TEST_F(Resume, FromFourRanksOntoAnyShapeEndsWithTheSameBits) {
  const JobResult alone = Train({1, false, 0}, {"--set", "checkpoint.dir=" + other_run()});
  for (const int servers : {0, 1}) {
    std::vector<std::string> first = often_;
    first.push_back("--fresh");
    ExpectSameEnd(alone, Train({4, true, servers}, first), "undisturbed");
    for (const Shape& shape : std::vector<Shape>{
             {1, false, 0}, {2, true, 0}, {3, true, 0}, {8, true, 0}, {4, true, 2}}) {
      const auto checkpoints = Checkpoints(servers + 1);
      ASSERT_GE(checkpoints.size(), 3u);
      for (const std::string& from : {checkpoints[0], checkpoints[checkpoints.size() - 2]}) {
        const JobResult resumed =
            Train(shape, {"--resume", from, "--set", "checkpoint.dir=" + other_run()});
        ExpectSameEnd(alone, resumed, from + " on " + std::to_string(shape.ranks) + " ranks");
      }
    }
  }
}

TEST_F(Resume, FromDeltasAndTheirEndsAsFromFullOnes) {
  std::vector<std::string> first = often_;
  first.insert(first.end(),
               {"--set", "checkpoint.incremental=true", "--set", "checkpoint.full_every=3"});
  const JobResult alone = Train({3, true, 1}, first);
  auto unfinished = Checkpoints(1);
  unfinished.pop_back();
  for (const std::string& from : unfinished) {
    const JobResult resumed =
        Train({2, true, 0}, {"--resume", from, "--set", "checkpoint.dir=" + other_run()});
    ExpectSameEnd(alone, resumed, from);
  }
  const JobResult nothing = Train({2, true, 0}, {"--resume", "latest"});
  EXPECT_NE(nothing.process.output.find("nothing to do"), std::string::npos);
  EXPECT_EQ(nothing.digest, alone.digest);
}

TEST_F(Resume, LatestStartsAtTheBeginningWhereThereIsNone) {
  const JobResult first = Train({2, true, 0}, {"--resume", "latest"});
  EXPECT_NE(first.process.output.find("starting at the beginning"), std::string::npos);
  const JobResult more = Train({1, false, 0}, {"--resume", "latest", "--set", "train.epochs=3"});
  const JobResult straight =
      Train({1, false, 0}, {"--set", "train.epochs=3", "--set", "checkpoint.dir=" + other_run()});
  ExpectSameEnd(straight, more, "a third epoch later");
}

TEST_F(Resume, ADamagedCheckpointIsNamedAndTheOneBeforeTaken) {
  const JobResult alone = Train({2, true, 0}, often_);
  const auto checkpoints = Checkpoints(1);
  ASSERT_GE(checkpoints.size(), 3u);
  const auto newest = checkpoints.rbegin();
  std::filesystem::remove(newest[0] + "/dense.safetensors");
  std::filesystem::resize_file(newest[1] + "/embedding/item-00000-of-00002.arrow", 100);
  const JobResult resumed = Train({3, true, 1}, {"--resume", "latest"});
  EXPECT_EQ(Count(resumed.process.output, "WARNING: "), 2) << resumed.process.output;
  EXPECT_NE(resumed.process.output.find("dense.safetensors"), std::string::npos);
  EXPECT_NE(resumed.process.output.find("item-00000-of-00002.arrow"), std::string::npos);
  EXPECT_NE(resumed.process.output.find("resumed " + newest[2]), std::string::npos)
      << resumed.process.output;
  ExpectSameEnd(alone, resumed, "from the last good one");
}

}  // namespace
}  // namespace trestle
