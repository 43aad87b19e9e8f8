#include "worker/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// What is written to a FILE, as text.
class Screen {
 public:
  Screen() : file_(open_memstream(&data_, &size_)) {}
  ~Screen() {
    std::fclose(file_);
    std::free(data_);
  }
  std::FILE* file() const { return file_; }
  std::string text() const {
    std::fflush(file_);
    return {data_, size_};
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

class ProgressTest : public testing::Test {
 protected:
  Progress Make(bool live, double interval_s, FileSystem& fs = FileSystem::Local()) {
    log_ = *RunLog::Open(fs, dir_.Join("metrics.jsonl"), clock_);
    return {{screen_.file(), live, interval_s}, clock_, *log_};
  }
  std::string Log() { return *FileSystem::Local().Read(dir_.Join("metrics.jsonl")); }

  TempDir dir_;
  FakeClock clock_;
  Screen screen_;
  std::unique_ptr<RunLog> log_;
};

TEST_F(ProgressTest, PlainLinesComeOncePerWindowAndAtTheEndOfThePass) {
  Progress progress = Make(/*live=*/false, 10);
  progress.BeginPass("epoch 1/2", 25);
  for (int64_t step = 1; step <= 25; ++step) {
    clock_.Advance(1);
    progress.Step(step, 100, 50);
  }
  progress.EndPass();
  const std::string text = screen_.text();
  EXPECT_EQ(Count(text, "\n"), 3) << text;
  EXPECT_EQ(Count(text, "\r"), 0);
  EXPECT_THAT(text, StartsWith("epoch 1/2  step 10 (10/25)  100 rows/s  loss 0.5000  "));
  EXPECT_THAT(text, HasSubstr("15s left\n"));
  EXPECT_THAT(text, HasSubstr("epoch 1/2  step 25 (25/25)  100 rows/s"));
  EXPECT_THAT(text, HasSubstr("0s left\n"));
  EXPECT_EQ(Count(Log(), "\"event\":\"train\""), 3) << Log();
  EXPECT_THAT(Log(), HasSubstr("\"step\":20,\"rows\":1000,\"rows_per_s\":100.0,\"loss\":0.5,"));
  EXPECT_THAT(Log(), HasSubstr("\"step\":25,\"rows\":500,"));
}

// An epoch that pauses for evaluations more often than a window lasts.
TEST_F(ProgressTest, AWindowThatThePassCutsOffIsLogged) {
  Progress progress = Make(false, 10);
  for (const int64_t step : {1, 2}) {
    progress.BeginPass("epoch 1/1", 100);
    clock_.Advance(1);
    progress.Step(step, 100, 50);
    progress.EndPass();
    progress.EndPass();
  }
  EXPECT_EQ(screen_.text(), "");
  EXPECT_EQ(Count(Log(), "\"event\":\"train\""), 2) << Log();
  EXPECT_THAT(Log(), HasSubstr("\"step\":2,\"rows\":100,\"rows_per_s\":100.0,\"loss\":0.5,"));
}

TEST_F(ProgressTest, TrainLinesOfTheLogCarryTheFactorOfTheNewestStep) {
  Progress progress = Make(false, 10);
  progress.BeginPass("epoch 1/1", 2);
  progress.Step(1, 1, 1, 1.0f);
  clock_.Advance(10);
  progress.Step(2, 1, 1, 0.25f);
  EXPECT_THAT(Log(), HasSubstr("\"lr_factor\":0.25"));
}

TEST_F(ProgressTest, AnEvaluationIsShownButNotLogged) {
  Progress progress = Make(/*live=*/false, 10);
  progress.BeginPass("test", 40);
  for (int step = 0; step < 25; ++step) {
    clock_.Advance(1);
    progress.EvaluationStep(100);
  }
  progress.EndPass();
  EXPECT_EQ(Count(screen_.text(), "\n"), 2) << screen_.text();
  EXPECT_THAT(screen_.text(), StartsWith("test  step 10/40  100 rows/s  "));
  EXPECT_THAT(screen_.text(), HasSubstr("30s left\n"));
  EXPECT_EQ(Log(), "");
}

TEST_F(ProgressTest, AWindowForgetsTheOneBeforeIt) {
  Progress progress = Make(false, 10);
  progress.BeginPass("epoch 1/1", 100);
  clock_.Advance(10);
  progress.Step(1, 1000, 900);
  clock_.Advance(10);
  progress.Step(2, 500, 50);
  EXPECT_THAT(screen_.text(), HasSubstr("step 1 (1/100)  100 rows/s  loss 0.9000"));
  EXPECT_THAT(screen_.text(), HasSubstr("step 2 (2/100)  50 rows/s  loss 0.1000"));
}

TEST_F(ProgressTest, TheLiveLineIsRewrittenTenTimesASecondAndEnded) {
  Progress progress = Make(/*live=*/true, 1000);
  progress.BeginPass("epoch 1/1", 1000);
  for (int64_t step = 1; step <= 100; ++step) {
    clock_.Advance(0.05);
    progress.Step(step, 10, 5);
  }
  EXPECT_EQ(Count(screen_.text(), "\r\033[K"), 50);
  EXPECT_EQ(Count(screen_.text(), "\n"), 0);
  progress.EndPass();
  EXPECT_EQ(Count(screen_.text(), "\n"), 1);
  progress.EndPass();
  EXPECT_EQ(Count(screen_.text(), "\n"), 1);
}

TEST_F(ProgressTest, ALineOfItsOwnClearsTheLiveOneFirst) {
  Progress progress = Make(true, 1000);
  progress.BeginPass("epoch 1/1", 10);
  clock_.Advance(1);
  progress.Step(1, 10, 5);
  progress.Say("ledger closed");
  EXPECT_THAT(screen_.text(), HasSubstr("left\r\033[Kledger closed\n"));
  progress.EndPass();
  EXPECT_THAT(screen_.text(), testing::EndsWith("ledger closed\n"));
}

TEST_F(ProgressTest, TheAucIsThatOfTheWindowAndStaysInTheLiveLine) {
  Progress progress = Make(true, 10);
  progress.BeginPass("epoch 1/1", 100);
  const std::vector<float> good = {-1, 1}, bad = {1, -1}, labels = {0, 1};
  progress.AddPredictions(good.data(), labels.data(), 2);
  clock_.Advance(1);
  progress.Step(1, 2, 1);
  EXPECT_THAT(screen_.text(), Not(HasSubstr("auc")));
  clock_.Advance(9);
  progress.Step(2, 2, 1);
  EXPECT_EQ(Count(screen_.text(), "auc 1.0000"), 1);
  clock_.Advance(1);
  progress.Step(3, 2, 1);
  EXPECT_EQ(Count(screen_.text(), "auc 1.0000"), 2);
  progress.AddPredictions(bad.data(), labels.data(), 2);
  clock_.Advance(9);
  progress.Step(4, 2, 1);
  EXPECT_EQ(Count(screen_.text(), "auc 0.0000"), 1) << "the first window's rows are forgotten";
}

TEST_F(ProgressTest, AWindowOfOneLabelHasNoAuc) {
  Progress progress = Make(false, 10);
  progress.BeginPass("epoch 1/1", 1);
  const std::vector<float> logits = {-1, 1}, labels = {1, 1};
  progress.AddPredictions(logits.data(), labels.data(), 2);
  progress.Step(1, 2, 1);
  EXPECT_THAT(screen_.text(), Not(HasSubstr("auc")));
  EXPECT_THAT(Log(), HasSubstr("\"window_auc\":null"));
}

// Lanes of any size: the newest 65,536 rows count.
TEST_F(ProgressTest, TheAucOfALongWindowIsThatOfItsNewestRows) {
  for (const int64_t lane : {1000, 50'000, 65'536, 100'000, 200'000}) {
    Progress progress = Make(false, 10);
    progress.BeginPass("epoch 1/1", 1);
    std::vector<float> good, bad, labels;
    for (int64_t i = 0; i < lane; ++i) {
      labels.push_back(static_cast<float>(i % 2));
      good.push_back(i % 2 ? 1.0f : -1.0f);
      bad.push_back(-good.back());
    }
    progress.AddPredictions(bad.data(), labels.data(), 10);
    progress.AddPredictions(bad.data(), labels.data(), lane);
    for (int64_t rows = 0; rows < 65'536; rows += lane) {
      progress.AddPredictions(good.data(), labels.data(), lane);
    }
    progress.Step(1, 1, 1);
    EXPECT_THAT(Log(), HasSubstr("\"window_auc\":1.0")) << lane;
    std::filesystem::remove(dir_.Join("metrics.jsonl"));
  }
}

TEST_F(ProgressTest, AStepThatWasSkippedHasNoLoss) {
  Progress progress = Make(false, 10);
  progress.BeginPass("epoch 1/1", 1);
  clock_.Advance(1);
  progress.Step(1, 0, 0);
  EXPECT_THAT(Log(), HasSubstr("\"loss\":null"));
}

TEST_F(ProgressTest, WithoutAScreenItOnlyLogs) {
  log_ = *RunLog::Open(FileSystem::Local(), dir_.Join("metrics.jsonl"), clock_);
  Progress progress({nullptr, true, 1}, clock_, *log_);
  progress.BeginPass("epoch 1/1", 1);
  clock_.Advance(1);
  progress.Step(1, 10, 5);
  progress.Say("hello");
  progress.EndPass();
  EXPECT_EQ(Count(Log(), "\n"), 1);
}

TEST_F(ProgressTest, ALogThatCannotBeWrittenIsSaidOnceAndDoesNotStopTheRun) {
  FaultFileSystem fs(FileSystem::Local(), {.fail_call = 2});
  Progress progress = Make(false, 1, fs);
  progress.BeginPass("epoch 1/1", 3);
  for (int64_t step = 1; step <= 3; ++step) {
    clock_.Advance(1);
    progress.Step(step, 10, 5);
  }
  EXPECT_EQ(Count(screen_.text(), "warning: metrics.jsonl is no longer written"), 1);
  EXPECT_THAT(screen_.text(), HasSubstr("injected failure"));
  EXPECT_EQ(Count(screen_.text(), "rows/s"), 3) << screen_.text();
}

TEST(FormatDuration, RoundsUpAndChoosesTwoUnits) {
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(0.2), "1s");
  EXPECT_EQ(FormatDuration(59.5), "1m00s");
  EXPECT_EQ(FormatDuration(3599), "59m59s");
  EXPECT_EQ(FormatDuration(3600), "1h00m");
  EXPECT_EQ(FormatDuration(36'125), "10h02m");
}

TEST(ResidentMiB, IsThatOfAProgramOfItsSize) {
  const int64_t before = ResidentMiB();
  EXPECT_GT(before, 0);
  std::vector<char> block(64 << 20, 1);
  EXPECT_GE(ResidentMiB(), before + 32) << static_cast<int>(block[12345]);
}

}  // namespace
}  // namespace trestle
