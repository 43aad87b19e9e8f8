#include "worker/lr_schedule.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace trestle {
namespace {

float At(const std::string& text, int64_t step, int64_t epoch = 0, int64_t run_steps = 100) {
  LrSchedule schedule;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &schedule)) << text;
  return LrFactor(schedule, {step, epoch, run_steps});
}

TEST(LrFactor, IsOneWithoutASchedule) {
  EXPECT_EQ(At("", 1), 1.0f);
  EXPECT_EQ(At("", 1'000'000, 7), 1.0f);
}

TEST(LrFactor, WarmUpGrowsEvenlyFromItsFirstStep) {
  const std::string warmup = "warmup_steps: 4";
  EXPECT_EQ(At(warmup, 1), 0.25f);
  EXPECT_EQ(At(warmup, 3), 0.75f);
  EXPECT_EQ(At(warmup, 4), 1.0f);
  EXPECT_EQ(At(warmup, 5), 1.0f);
}

TEST(LrFactor, StepFallsAtMultiplesAfterTheWarmUp) {
  EXPECT_EQ(At("step { every_steps: 10 }", 10), 1.0f);
  EXPECT_EQ(At("step { every_steps: 10 }", 11), 0.1f);
  EXPECT_EQ(At("step { every_steps: 10 factor: 0.5 }", 31), 0.125f);
  EXPECT_EQ(At("warmup_steps: 5 step { every_steps: 10 factor: 0.5 }", 15), 1.0f);
  EXPECT_EQ(At("warmup_steps: 5 step { every_steps: 10 factor: 0.5 }", 16), 0.5f);
}

TEST(LrFactor, CosineGoesFromOneToItsFloorAndStays) {
  const std::string cosine = "cosine { steps: 8 floor: 0.2 }";
  EXPECT_EQ(At(cosine, 1), 1.0f);
  EXPECT_NEAR(At(cosine, 5), 0.6, 1e-6);
  EXPECT_NEAR(At(cosine, 8), 0.2 + 0.4 * (1 + std::cos(M_PI * 7 / 8)), 1e-6);
  EXPECT_EQ(At(cosine, 9), 0.2f);
  EXPECT_EQ(At(cosine, 900), 0.2f);
}

TEST(LrFactor, CosineWithoutStepsEndsWithTheRun) {
  EXPECT_NEAR(At("cosine {}", 51, 0, 100), 0.5, 1e-6);
  EXPECT_GT(At("cosine {}", 100, 0, 100), 0.0f);
  EXPECT_EQ(At("cosine {}", 101, 0, 100), 0.0f);
  // The middle of the steps after the warm-up.
  EXPECT_NEAR(At("warmup_steps: 20 cosine {}", 61, 0, 100), 0.5, 1e-6);
  // A run that is over before its warm-up.
  EXPECT_EQ(At("warmup_steps: 20 cosine {}", 10, 0, 10), 0.5f);
}

TEST(LrFactor, ExponentialFallsByItsFactorInSoManySteps) {
  const std::string exponential = "exponential { decay_steps: 10 factor: 0.25 }";
  EXPECT_EQ(At(exponential, 1), 1.0f);
  EXPECT_EQ(At(exponential, 6), 0.5f);
  EXPECT_EQ(At(exponential, 21), 0.0625f);
  EXPECT_NEAR(At("exponential { decay_steps: 1 }", 2), 0.9, 1e-6);
}

TEST(LrFactor, EpochFallsWithEveryEpoch) {
  EXPECT_EQ(At("epoch {}", 50, 0), 1.0f);
  EXPECT_EQ(At("epoch {}", 150, 2), 0.25f);
  EXPECT_EQ(At("warmup_steps: 10 epoch {}", 5, 1), 0.25f);
}

}  // namespace
}  // namespace trestle
