#include "backend/step_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace trestle {
namespace {

struct Sets {
  ParameterSet parameters{1};
  StatisticSet statistics;
  Sets() {
    parameters.Add("a", 1, 3, {});
    parameters.Add("b", 2, 2, {});
    statistics.Add("s", 2, 0.0f, 0.5f);
    statistics.Add("t", 1, 1.0f, 0.25f);
  }
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<int64_t> Values(StepSums& sums) { return {sums.values().begin(), sums.values().end()}; }

TEST(StepSums, ExcessBitsAgreeWithIsTermAtTheEdges) {
  for (int64_t lane_rows : {256, 4096, 65536}) {
    const FixedUnit unit = FixedUnit::ForLaneRows(lane_rows);
    const float limit = std::ldexp(1.0f, 51 - unit.fraction_bits());
    for (float x :
         {0.0f, 1e-30f, limit, std::nextafter(limit, 0.0f), std::nextafter(limit, kInfinity),
          std::numeric_limits<float>::max(), kInfinity, kNan}) {
      for (float signed_x : {x, -x}) {
        EXPECT_EQ(FixedUnit::ExcessBits(unit.ToFixed(signed_x)) == 0, unit.IsTerm(signed_x))
            << signed_x;
      }
    }
  }
}

TEST(StepSums, ABadTermAnywhereAddsNothingButTheBadLane) {
  Sets sets;
  StepSums sums(&sets.parameters, &sets.statistics, FixedUnit());
  const std::vector<float> gradients = {1, 2, 3, 4, 5, 6, 7};
  const std::vector<float> statistics = {1, 2, 3};
  ASSERT_EQ(sums.AddLane(10, 5.0f, gradients, statistics), "");
  std::vector<int64_t> expected = Values(sums);
  for (float bad : {kNan, -kNan, kInfinity, -kInfinity, 2048.0f, -2048.0f, 1e30f}) {
    for (size_t at = 0; at < gradients.size(); ++at) {
      std::vector<float> poisoned = gradients;
      poisoned[at] = bad;
      const std::string what = sums.AddLane(10, 5.0f, poisoned, statistics);
      EXPECT_TRUE(what.starts_with(at < 3 ? "gradient of a: " : "gradient of b: ")) << what;
    }
    for (size_t at = 0; at < statistics.size(); ++at) {
      std::vector<float> poisoned = statistics;
      poisoned[at] = bad;
      const std::string what = sums.AddLane(10, 5.0f, gradients, poisoned);
      EXPECT_TRUE(what.starts_with(at < 2 ? "statistic s: " : "statistic t: ")) << what;
    }
    EXPECT_TRUE(
        sums.AddLane(10, bad, gradients, statistics).starts_with("sum of a lane's losses: "));
  }
  expected.back() = 7 * (7 + 3 + 1);
  EXPECT_EQ(Values(sums), expected);
  EXPECT_EQ(sums.rows(), 10);
  EXPECT_EQ(sums.loss(), 5.0);
}

TEST(StepSums, MergedSumsEqualThoseOfOneThread) {
  Sets sets;
  StepSums all(&sets.parameters, &sets.statistics, FixedUnit());
  StepSums one(&sets.parameters, &sets.statistics, FixedUnit());
  StepSums two(&sets.parameters, &sets.statistics, FixedUnit());
  for (int lane = 0; lane < 9; ++lane) {
    std::vector<float> gradients(7), statistics(3);
    for (int i = 0; i < 7; ++i) gradients[i] = std::sin(static_cast<float>(7 * lane + i));
    for (int i = 0; i < 3; ++i) statistics[i] = std::cos(static_cast<float>(3 * lane + i));
    for (StepSums* sums : {&all, lane % 3 ? &one : &two}) {
      EXPECT_EQ(sums->AddLane(lane, 0.1f * lane, gradients, statistics), "");
    }
  }
  one.Merge(&two);
  EXPECT_EQ(Values(one), Values(all));
  one.Merge(&two);  // it was cleared
  EXPECT_EQ(Values(one), Values(all));
}

TEST(StepSums, MeansDivideByRowsAndByTheLanesThatHadAStatistic) {
  Sets sets;
  StepSums sums(&sets.parameters, &sets.statistics, FixedUnit());
  EXPECT_EQ(sums.AddLane(3, 1.0f, std::vector<float>(7, 1.0f), std::vector<float>{2, 4, 8}), "");
  EXPECT_EQ(sums.AddLane(5, 1.0f, std::vector<float>(7, 2.0f),
                         std::vector<float>{4, 8, AbsentStatistic()}),
            "");
  std::vector<float> gradient(7);
  sums.MeanGradient(gradient);
  for (float g : gradient) EXPECT_EQ(g, 3.0f / 8.0f);
  sums.UpdateStatistics(&sets.statistics);
  EXPECT_EQ(sets.statistics.values()[0], 0.5f * 3);
  EXPECT_EQ(sets.statistics.values()[1], 0.5f * 6);
  EXPECT_EQ(sets.statistics.values()[2], 0.75f * 1 + 0.25f * 8);
}

}  // namespace
}  // namespace trestle
