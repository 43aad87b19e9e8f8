// Evaluations in the middle of epochs decide when training ends and which checkpoint is kept. What
// they decide is the same at any number of ranks and dedicated servers, and after kills.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/support/small_job.h"

namespace trestle {
namespace {

const std::vector<Shape> kStopShapes = {{1, false, 0}, {2, true, 0}, {3, true, 0}, {3, true, 1}};

class EarlyStop : public ::testing::Test {
 protected:
  // Epochs of 16 steps; retention alone would keep the newest checkpoint.
  EarlyStop() {
    config_ = small_.Config("eval { set { name: \"seen\" files: \"" + small_.train_file() +
                            "\" } slices: [\"user\", \"item\"] }\n"
                            "train { epochs: 20 eval_every_steps: 3 keep_best: true }\n"
                            "optimizer { embedding { adam { lr: 0.01 } }\n"
                            "  schedule { warmup_steps: 5 epoch { factor: 0.97 } } }\n");
  }

  std::vector<std::string> Arguments(const std::string& command, const Shape& shape,
                                     const std::string& run,
                                     const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {command, config_};
    for (const std::string& set :
         {"cluster.servers=" + std::to_string(shape.servers), "checkpoint.dir=" + Folder(run),
          std::string("checkpoint.keep=1"), std::string("checkpoint.every_steps=2")}) {
      arguments.insert(arguments.end(), {"--set", set});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  ProcessResult Run(const std::string& command, const Shape& shape, const std::string& run,
                    const std::vector<std::string>& more = {}) const {
    return RunTrestle({shape.ranks, shape.mpirun, Arguments(command, shape, run, more)}).process;
  }
  std::string Folder(const std::string& run) const { return small_.dir().Join(run); }

  const SmallJob small_;
  std::string config_;
};

// The run's last line, without the attempts in the names of checkpoints.
std::string BestLine(const ProcessResult& result) {
  const std::string line = LineAfter(result.output, "\nbest   ");
  return std::regex_replace(line, std::regex(R"((step-\d+)\.\d+)"), "$1");
}

// Lines of evaluations, tables of slices included.
std::string EvaluationLines(const std::string& output) {
  std::istringstream in(output);
  std::string lines;
  for (std::string line; std::getline(in, line);) {
    const bool told =
        line.starts_with("test  ") || line.starts_with("seen  ") || line.starts_with("  ");
    if (told) lines += line + "\n";
  }
  return lines;
}

TEST_F(EarlyStop, EndsAtTheSameStepWithTheSameBestInAnyShape) {
  std::string best, lines;
  for (const Shape& shape : kStopShapes) {
    const std::string run = "run" + std::to_string(&shape - kStopShapes.data());
    const ProcessResult trained = Run("train", shape, run, {"--set", "train.patience=5"});
    ASSERT_EQ(trained.exit_code, 0) << trained.output;
    EXPECT_EQ(Count(trained.output, "train.patience is over"), 1) << trained.output;
    if (best.empty()) best = BestLine(trained), lines = EvaluationLines(trained.output);
    EXPECT_NE(best.find("(5 evaluations since): step-"), std::string::npos) << trained.output;
    EXPECT_EQ(BestLine(trained), best) << trained.output;
    EXPECT_EQ(EvaluationLines(trained.output), lines);
    EXPECT_NE(lines.find("test by item"), std::string::npos) << lines;
    // The best one is there, and is what it was.
    const ProcessResult digest =
        RunTrestle({1, false, {"checkpoint", "digest", Folder(run) + "/best"}}).process;
    EXPECT_NE(best.find(", digest " + digest.output.substr(0, 16)), std::string::npos)
        << digest.output;
    if (shape.ranks == 2) continue;  // the others show the rest
    const ProcessResult evaluated = Run("eval", shape, run, {"--checkpoint", "best"});
    EXPECT_EQ(evaluated.exit_code, 0) << evaluated.output;
    EXPECT_NE(lines.find(EvaluationLines(evaluated.output)), std::string::npos) << evaluated.output;
    if (shape.mpirun) continue;
    const ProcessResult again =
        Run("train", shape, run, {"--set", "train.patience=5", "--resume", "latest"});
    EXPECT_NE(again.output.find("nothing to do"), std::string::npos) << again.output;
    EXPECT_EQ(BestLine(again), best);
  }
}

// Killed after evaluations that were and that were not the best, each start in another shape.
TEST_F(EarlyStop, AfterKillsChoosesAsTheRunThatWasLeftAlone) {
  const std::vector<std::string> steps = {"--set", "train.max_steps=90"};
  const ProcessResult alone = Run("train", kStopShapes[0], "alone", steps);
  ASSERT_EQ(alone.exit_code, 0) << alone.output;
  EXPECT_EQ(Count(alone.output, "train.max_steps are done"), 1) << alone.output;
  std::vector<std::string> resume = steps;
  resume.insert(resume.end(), {"--resume", "latest"});
  int attempt = 0;
  for (const char* moment : {" (best)", "\nepoch 2/20", "\nseen  "}) {
    const Shape& shape = kStopShapes[static_cast<size_t>(1 + attempt % 3)];
    Process job(JobCommand({shape.ranks, true, Arguments("train", shape, "killed", resume)}));
    ASSERT_TRUE(job.WaitForOutput(moment));
    ASSERT_EQ(::kill(job.RankPid(attempt % shape.ranks), SIGKILL), 0);
    const ProcessResult killed = job.Wait(Process::Seconds(100));
    EXPECT_NE(killed.exit_code, 0) << "attempt " << attempt << " ended before it was killed";
    ++attempt;
  }
  const ProcessResult ended = Run("train", kStopShapes[3], "killed", resume);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(BestLine(ended), BestLine(alone)) << ended.output;
  EXPECT_EQ(LineAfter(ended.output, "digest "), LineAfter(alone.output, "digest "));
  EXPECT_NE(BestLine(alone).find("step-00000090, digest "), std::string::npos) << BestLine(alone);
}

// Neither where nothing is evaluated anew, nor by another way to the run's folder.
TEST_F(EarlyStop, ARunThatIsDoneKeepsItsBest) {
  const auto digest = [&] {
    return RunTrestle({1, false, {"checkpoint", "digest", Folder("run") + "/best"}})
        .process.output.substr(0, 16);
  };
  const ProcessResult first = Run("train", kStopShapes[0], "run", {"--set", "train.max_steps=4"});
  ASSERT_EQ(first.exit_code, 0) << first.output;
  EXPECT_NE(BestLine(first).find(": step-00000003, "), std::string::npos) << BestLine(first);
  const std::string best = digest();
  const ProcessResult other = Run("train", kStopShapes[0], "run",
                                  {"--set", "train.max_steps=4", "--set",
                                   "data.test=" + small_.train_file(), "--resume", "latest"});
  EXPECT_EQ(other.exit_code, 0) << other.output;
  EXPECT_EQ(Count(other.output, "nothing to do"), 1) << other.output;
  const ProcessResult longer =
      Run("train", kStopShapes[3], "run",
          {"--set", "train.max_steps=6", "--set", "train.eval_every_steps=1000", "--resume",
           Folder("run") + "/./checkpoints"});
  EXPECT_EQ(longer.exit_code, 0) << longer.output;
  EXPECT_EQ(Count(longer.output, "\nresumed "), 1) << longer.output;
  EXPECT_EQ(digest(), best) << longer.output;
}

// Time that is over ends a start well, without a trace in what a later one decides.
TEST_F(EarlyStop, MaxMinutesEndsAStartAndResumeGoesOnExactly) {
  const std::vector<std::string> steps = {"--set", "train.max_steps=40"};
  const ProcessResult alone = Run("train", kStopShapes[0], "alone", steps);
  ASSERT_EQ(alone.exit_code, 0) << alone.output;
  std::vector<std::string> timed = steps;
  timed.insert(timed.end(), {"--set", "train.max_minutes=0.000001", "--resume", "latest"});
  const ProcessResult first = Run("train", kStopShapes[3], "timed", timed);
  EXPECT_EQ(first.exit_code, 0) << first.output;
  EXPECT_EQ(Count(first.output, "train.max_minutes are over"), 1) << first.output;
  EXPECT_EQ(Count(first.output, "\ntest  "), 1) << first.output;
  const ProcessResult second = Run("train", kStopShapes[1], "timed", timed);
  EXPECT_EQ(second.exit_code, 0) << second.output;
  EXPECT_NE(second.output, first.output);
  EXPECT_EQ(Count(second.output, "\nresumed "), 1) << second.output;
  timed = steps;
  timed.insert(timed.end(), {"--resume", "latest"});
  const ProcessResult ended = Run("train", kStopShapes[1], "timed", timed);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(BestLine(ended), BestLine(alone)) << ended.output;
  EXPECT_EQ(LineAfter(ended.output, "digest "), LineAfter(alone.output, "digest "));
  const ProcessResult other =
      Run("train", kStopShapes[0], "timed",
          {"--resume", "latest", "--set", "train.max_steps=43", "--set", "eval.monitor=LOG_LOSS"});
  EXPECT_NE(
      other.output.find("note: the best evaluation is sought anew: it was by AUC of test, and "
                        "is by LOG_LOSS of test"),
      std::string::npos)
      << other.output;
  EXPECT_EQ(BestLine(other).find("step 4"), 0u) << BestLine(other);
}

}  // namespace
}  // namespace trestle
