#include "base/fixed_point.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace trestle {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const FixedUnit kUnit;

// Sums in the order given, cut into random groups, the groups' sums added in random order.
int64_t GroupedSum(std::vector<int64_t> terms, std::mt19937_64& rng) {
  std::shuffle(terms.begin(), terms.end(), rng);
  std::vector<uint64_t> groups(1 + rng() % 64, 0);
  for (const int64_t term : terms) groups[rng() % groups.size()] += static_cast<uint64_t>(term);
  std::shuffle(groups.begin(), groups.end(), rng);
  return static_cast<int64_t>(std::accumulate(groups.begin(), groups.end(), uint64_t{0}));
}

TEST(FixedUnit, IsTwoToMinusFortyUpTo512Rows) {
  EXPECT_EQ(FixedUnit().fraction_bits(), 40);
  for (const int64_t rows : {1, 2, 256, 511, 512}) {
    EXPECT_EQ(FixedUnit::ForLaneRows(rows).fraction_bits(), 40) << rows;
  }
  EXPECT_EQ(kUnit.ToFixed(1.0), int64_t{1} << 40);
  EXPECT_EQ(kUnit.ToDouble(1), 0x1p-40);
}

TEST(FixedUnit, LosesABitForEachDoublingOfALanesRows) {
  const std::vector<std::pair<int64_t, int>> cases = {{513, 39},  {1024, 39}, {1025, 38},
                                                      {2048, 38}, {4096, 37}, {65'536, 33}};
  for (const auto& [rows, bits] : cases) {
    const FixedUnit unit = FixedUnit::ForLaneRows(rows);
    EXPECT_EQ(unit.fraction_bits(), bits) << rows;
    EXPECT_EQ(unit.ToFixed(1.0), int64_t{1} << bits);
    EXPECT_EQ(unit.ToDouble(unit.ToFixed(-3.25)), -3.25);
    // The bound on a term grows with the rows: a lane whose every row adds 2 is still a term.
    EXPECT_TRUE(unit.IsTerm(2.0 * static_cast<double>(rows)));
  }
}

TEST(FixedUnit, TermsAreFiniteAndBelowTheBound) {
  EXPECT_TRUE(kUnit.IsTerm(0.0));
  EXPECT_TRUE(kUnit.IsTerm(std::nextafter(2048.0f, 0.0f)));
  EXPECT_TRUE(kUnit.IsTerm(std::nextafter(-2048.0f, 0.0f)));
  EXPECT_TRUE(kUnit.IsTerm(std::numeric_limits<double>::denorm_min()));
  for (const double x : {2048.0, -2048.0, 1e300, -1e300, kInfinity, -kInfinity,
                         std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_FALSE(kUnit.IsTerm(x)) << x;
  }
}

TEST(FixedUnit, LargestTermsDoNotOverflowWhenEveryLaneGivesOne) {
  for (const double sign : {1.0, -1.0}) {
    const float x = static_cast<float>(sign) * std::nextafter(2048.0f, 0.0f);
    const int64_t term = kUnit.ToFixed(x);
    EXPECT_NEAR(kUnit.ToDouble(term), x, 0x1p-41);
    const __int128 sum = static_cast<__int128>(term) * kMaxLanes;
    EXPECT_EQ(static_cast<int64_t>(sum), sum);
  }
}

TEST(FixedUnit, HasWholeNumbersAtTheCoarsest) {
  for (const int64_t rows :
       {int64_t{1} << 49, int64_t{1} << 50, std::numeric_limits<int64_t>::max()}) {
    const FixedUnit unit = FixedUnit::ForLaneRows(rows);
    EXPECT_EQ(unit.fraction_bits(), 0) << rows;
    EXPECT_EQ(unit.ToFixed(-7.0), -7);
    EXPECT_TRUE(unit.IsTerm(std::nextafter(0x1p51f, 0.0f)));
    EXPECT_FALSE(unit.IsTerm(0x1p51f));
  }
}

TEST(FixedUnit, RoundsToNearestTiesToEven) {
  const double unit = 0x1p-40;
  const std::vector<std::pair<double, int64_t>> cases = {
      {0.5, 0},   {1.5, 2},  {2.5, 2},  {3.5, 4},    {-0.5, 0}, {-1.5, -2},
      {-2.5, -2}, {0.49, 0}, {0.51, 1}, {-0.51, -1}, {0.25, 0}, {1e6 + 0.5, 1'000'000}};
  for (const auto& [units, expected] : cases) {
    EXPECT_EQ(kUnit.ToFixed(units * unit), expected) << units;
  }
  EXPECT_EQ(kUnit.ToFixed(0.0), 0);
  EXPECT_EQ(kUnit.ToFixed(-0.0), 0);
}

TEST(FixedUnit, AgreesWithExactRoundingEverywhere) {
  std::mt19937_64 rng(1);
  for (int i = 0; i < 200'000; ++i) {
    const double magnitude = std::ldexp(1.0, static_cast<int>(rng() % 60) - 49);
    const double x = magnitude * (static_cast<double>(rng() >> 11) * 0x1p-52 - 1.0);
    if (!kUnit.IsTerm(x)) continue;
    ASSERT_EQ(kUnit.ToFixed(x), std::llrint(std::ldexp(x, 40))) << x;
  }
}

TEST(FixedUnit, ARoundedFloatComesBackAsAFloat) {
  std::mt19937_64 rng(2);
  for (int i = 0; i < 100'000; ++i) {
    const float x = std::ldexp(static_cast<float>(rng() >> 40) * 0x1p-24f - 0.5f,
                               static_cast<int>(rng() % 40) - 28);
    const double back = kUnit.ToDouble(kUnit.ToFixed(x));
    ASSERT_EQ(static_cast<double>(static_cast<float>(back)), back) << x;
  }
}

TEST(FixedPointSum, IsTheSameInAnyOrderAndGrouping) {
  std::mt19937_64 rng(3);
  std::normal_distribution<float> normal(0.0f, 0.01f);
  std::vector<int64_t> terms(4096);
  for (int64_t& term : terms) term = kUnit.ToFixed(normal(rng));
  const int64_t expected = std::accumulate(terms.begin(), terms.end(), int64_t{0});
  for (int trial = 0; trial < 50; ++trial) ASSERT_EQ(GroupedSum(terms, rng), expected);
}

TEST(FixedPointSum, IsTheSameWherePartialSumsWrap) {
  // 6,000 terms near +2^11 then 6,000 near -2^11: partial sums reach 12 times the range of 64 bits.
  std::mt19937_64 rng(4);
  std::vector<int64_t> terms;
  __int128 exact = 0;
  for (int i = 0; i < 12'000; ++i) {
    const double x = (i < 6000 ? 2047.0 : -2047.0) + static_cast<double>(rng() % 1000) * 1e-3;
    terms.push_back(kUnit.ToFixed(x));
    exact += terms.back();
  }
  ASSERT_EQ(static_cast<int64_t>(exact), exact) << "the sum itself is in range";
  for (int trial = 0; trial < 50; ++trial)
    ASSERT_EQ(GroupedSum(terms, rng), static_cast<int64_t>(exact));
}

TEST(EpochSum, HoldsMoreThan64Bits) {
  EpochSum sum;
  const int64_t large = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < 1000; ++i) sum.Add(large);
  EXPECT_NEAR(sum.ToDouble(kUnit) / (1000 * 0x1p23), 1.0, 1e-15);
  EpochSum negative;
  for (int i = 0; i < 1000; ++i) negative.Add(-large);
  sum.Add(negative);
  sum.Add(kUnit.ToFixed(0.5));
  EXPECT_EQ(sum.ToDouble(kUnit), 0.5);
}

TEST(EpochSum, UsesTheUnitOfItsTerms) {
  const FixedUnit coarse = FixedUnit::ForLaneRows(4096);
  EpochSum sum;
  sum.Add(coarse.ToFixed(1.25));
  sum.Add(coarse.ToFixed(2.5));
  EXPECT_EQ(sum.ToDouble(coarse), 3.75);
}

}  // namespace
}  // namespace trestle
