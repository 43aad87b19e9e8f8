#include "worker/early_stopping.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace trestle {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Evaluations at steps 10, 20, ... until training ends; which of them were better.
std::vector<bool> Add(EarlyStopping* stopping, const std::vector<double>& values) {
  std::vector<bool> better;
  for (size_t i = 0; i < values.size() && !stopping->exhausted(); ++i) {
    better.push_back(stopping->Add(stopping->state().step + 10, values[i]));
  }
  return better;
}

TEST(EarlyStopping, EndsAfterSoManyEvaluationsInARowThatAreNoBetter) {
  EarlyStopping stopping(true, 2, {});
  EXPECT_EQ(Add(&stopping, {0.5, 0.6, 0.55, 0.7, 0.7, 0.6, 0.9}),
            (std::vector<bool>{true, true, false, true, false, false}));
  EXPECT_TRUE(stopping.exhausted());
  EXPECT_EQ(stopping.state().step, 60);
  EXPECT_EQ(stopping.state().best_step, 40) << "of equal ones the first";
  EXPECT_EQ(stopping.state().best_value, 0.7);
  EXPECT_EQ(stopping.state().since_best, 2);
}

TEST(EarlyStopping, LessIsBetterForALoss) {
  EarlyStopping stopping(false, 1, {});
  EXPECT_EQ(Add(&stopping, {0.7, 0.6, 0.65}), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(stopping.state().best_step, 20);
}

TEST(EarlyStopping, WithoutPatienceNeverEnds) {
  EarlyStopping stopping(true, 0, {});
  EXPECT_EQ(Add(&stopping, std::vector<double>(100, 0.5)).size(), 100u);
  EXPECT_EQ(stopping.state().best_step, 10);
}

TEST(EarlyStopping, NaNIsNeverBetterButAnyNumberIsBetterThanNone) {
  EarlyStopping stopping(true, 3, {});
  EXPECT_EQ(Add(&stopping, {kNaN, -2, kNaN}), (std::vector<bool>{false, true, false}));
  EXPECT_EQ(stopping.state().best_value, -2);
  EarlyStopping never(true, 3, {});
  EXPECT_EQ(Add(&never, {kNaN, kNaN, kNaN, 1}).size(), 3u);
  EXPECT_EQ(never.state().best_step, 0);
}

// At every evaluation stopped and begun again.
TEST(EarlyStopping, GoesOnFromItsStateAsIfItHadNotStopped) {
  const std::vector<double> values = {0.5, 0.4, 0.6, 0.6, 0.3, 0.59, 0.7};
  EarlyStopping whole(true, 3, {});
  Add(&whole, values);
  EarlyStopping::State state;
  for (size_t i = 0; i < values.size() && !EarlyStopping(true, 3, state).exhausted(); ++i) {
    EarlyStopping part(true, 3, state);
    Add(&part, {values[i]});
    state = part.state();
  }
  EXPECT_EQ(state.step, whole.state().step);
  EXPECT_EQ(state.best_step, 30);
  EXPECT_EQ(state.best_value, whole.state().best_value);
  EXPECT_EQ(state.since_best, whole.state().since_best);
}

}  // namespace
}  // namespace trestle
