// Every primitive: gradients against central differences in double, float against double, 0 rows.
#include "backend/ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/backend/tape_fixture.h"

namespace trestle {
namespace {

template <class T>
using Vars = std::vector<VarT<T>>;

// One operator with the shapes of its leaves, written once for float and double.
struct OperatorCase {
  std::string name;
  std::vector<std::pair<int64_t, int64_t>> shapes;
  TapeFixture<double>::Build exact;
  TapeFixture<float>::Build rounded;
  TapeT<double>::Mode mode = {};
  int statistics = 0;  // channels of the two statistics, first the mean, then the variance
};

void PrintTo(const OperatorCase& c, std::ostream* out) { *out << c.name; }

template <class F>
OperatorCase Case(std::string name, std::vector<std::pair<int64_t, int64_t>> shapes, F build) {
  return {std::move(name), std::move(shapes),
          [build](TapeT<double>& tape, const Vars<double>& x) { return build(tape, x); },
          [build](TapeT<float>& tape, const Vars<float>& x) { return build(tape, x); }};
}

const std::vector<int32_t>& TestOffsets() {
  static const std::vector<int32_t> offsets = OffsetsOf({2, 0, 3, 1, 0});
  return offsets;
}
const std::vector<int32_t>& NoItems() {
  static const std::vector<int32_t> offsets = OffsetsOf({0, 0, 0, 0, 0});
  return offsets;
}
const std::vector<int32_t>& NoRows() {
  static const std::vector<int32_t> offsets = OffsetsOf({});
  return offsets;
}

FlatSlice StatisticSlice(int64_t offset, int cols) { return {"statistic", 1, cols, offset, false}; }

#define OP(expression) \
  [=]<class T>(TapeT<T>& tape, const Vars<T>& x) -> VarT<T> { return expression; }

void AddArithmetic(std::vector<OperatorCase>& cases) {
  for (int64_t m : {0, 1, 3, 17}) {
    const std::string rows = "_rows" + std::to_string(m);
    cases.push_back(Case("MatMul" + rows, {{m, 4}, {4, 5}}, OP(MatMul<T>(tape, x[0], x[1]))));
    for (auto [r, c] : std::set<std::pair<int64_t, int64_t>>{{m, 5}, {1, 5}, {m, 1}}) {
      const std::string to = rows + "_with_" + std::to_string(r) + "_" + std::to_string(c);
      cases.push_back(Case("Add" + to, {{m, 5}, {r, c}}, OP(Add<T>(tape, x[0], x[1]))));
      cases.push_back(Case("Subtract" + to, {{m, 5}, {r, c}}, OP(Subtract<T>(tape, x[0], x[1]))));
      cases.push_back(Case("Multiply" + to, {{m, 5}, {r, c}}, OP(Multiply<T>(tape, x[0], x[1]))));
    }
    cases.push_back(Case("Scale" + rows, {{m, 5}}, OP(Scale<T>(tape, x[0], T{3} / 4))));
    cases.push_back(Case("SumRows" + rows, {{m, 5}}, OP(SumRows<T>(tape, x[0]))));
    cases.push_back(Case("SumColumns" + rows, {{m, 5}}, OP(SumColumns<T>(tape, x[0]))));
    cases.push_back(Case("Slice" + rows, {{m, 5}}, OP(SliceColumns<T>(tape, x[0], 1, 4))));
    cases.push_back(Case("Reshape" + rows, {{m, 4}}, OP(Reshape<T>(tape, x[0], 2 * m, 2))));
    cases.push_back(Case("Concat" + rows, {{m, 2}, {m, 3}, {m, 1}},
                         []<class T>(TapeT<T>& tape, const Vars<T>& x) -> VarT<T> {
                           const std::vector<VarT<T>> parts{x[0], x[1], x[2], x[1]};
                           return ConcatColumns<T>(tape, parts);
                         }));
  }
}

void AddActivations(std::vector<OperatorCase>& cases) {
  for (int64_t m : {0, 1, 2, 33}) {
    const std::string rows = "_rows" + std::to_string(m);
    cases.push_back(Case("Sigmoid" + rows, {{m, 5}}, OP(Sigmoid<T>(tape, x[0]))));
    cases.push_back(Case("Tanh" + rows, {{m, 5}}, OP(Tanh<T>(tape, x[0]))));
    cases.push_back(Case("Relu" + rows, {{m, 5}}, OP(Relu<T>(tape, x[0]))));
    cases.push_back(Case("PRelu" + rows, {{m, 19}, {1, 19}}, OP(PRelu<T>(tape, x[0], x[1]))));
    cases.push_back(Case("Dropout" + rows, {{m, 7}}, OP(Dropout<T>(tape, x[0], T{1} / 4, 11))));
    for (bool training : {true, false}) {
      const std::string mode = rows + (training ? "_training" : "_frozen");
      cases.push_back(
          Case("Dice" + mode, {{m, 3}, {1, 3}}, []<class T>(TapeT<T>& tape, const Vars<T>& x) {
            const FlatSlice mean = StatisticSlice(0, 3), variance = StatisticSlice(3, 3);
            return Dice<T>(tape, x[0], x[1], {&mean, &variance});
          }));
      cases.push_back(Case("BatchNorm" + mode, {{m, 3}, {1, 3}, {1, 3}},
                           []<class T>(TapeT<T>& tape, const Vars<T>& x) {
                             const FlatSlice mean = StatisticSlice(0, 3),
                                             variance = StatisticSlice(3, 3);
                             return BatchNorm<T>(tape, x[0], x[1], x[2], {&mean, &variance});
                           }));
      for (size_t i = cases.size() - 2; i < cases.size(); ++i) {
        cases[i].mode.training = training;
        cases[i].statistics = 3;
      }
    }
  }
}

void AddJagged(std::vector<OperatorCase>& cases) {
  using Shape = std::pair<std::string, Offsets>;
  for (const auto& [name, offsets] :
       {Shape{"ragged", TestOffsets()}, Shape{"no_items", NoItems()}, Shape{"no_rows", NoRows()}}) {
    const int64_t b = static_cast<int64_t>(offsets.size()) - 1, total = offsets.back();
    const Offsets o = offsets;
    cases.push_back(
        Case("BroadcastToItems_" + name, {{b, 3}}, OP(BroadcastToItems<T>(tape, x[0], o))));
    cases.push_back(Case("JaggedSum_" + name, {{total, 3}}, OP(JaggedSum<T>(tape, x[0], o))));
    for (Pooling pooling : {MEAN, SQRTN}) {
      cases.push_back(Case("JaggedPool_" + Pooling_Name(pooling) + "_" + name, {{total, 3}},
                           OP(JaggedPool<T>(tape, x[0], o, pooling))));
    }
    cases.push_back(
        Case("JaggedSoftmax_" + name, {{total, 1}}, OP(JaggedSoftmax<T>(tape, x[0], o))));
  }
}

std::vector<OperatorCase> AllCases() {
  std::vector<OperatorCase> cases;
  AddArithmetic(cases);
  AddActivations(cases);
  AddJagged(cases);
  return cases;
}

template <class T>
TapeFixture<T> FixtureOf(const OperatorCase& c) {
  TapeFixture<T> fixture(17);
  for (const auto& [rows, cols] : c.shapes) fixture.Add(rows, cols);
  for (int i = 0; i < c.statistics; ++i) fixture.statistics.push_back(T{1} / 8);
  for (int i = 0; i < c.statistics; ++i) fixture.statistics.push_back(T{3} / 2);
  fixture.lane_statistics = fixture.statistics;
  return fixture;
}

class Operator : public testing::TestWithParam<OperatorCase> {};

TEST_P(Operator, GradientsMatchFiniteDifferences) {
  auto fixture = FixtureOf<double>(GetParam());
  // Of one row the normalized value is 0 / sqrt(eps) = 0 and differences of any step size leave it.
  ExpectGradientsMatch(fixture, GetParam().exact, GetParam().mode, 1e-6);
}

TEST_P(Operator, FloatFollowsDouble) {
  auto exact = FixtureOf<double>(GetParam());
  auto rounded = FixtureOf<float>(GetParam());
  const auto mode = GetParam().mode;
  const std::vector<double> expected = exact.Run(GetParam().exact, mode);
  const std::vector<float> value = rounded.Run(GetParam().rounded, {mode.training, mode.gradients});
  ASSERT_EQ(value.size(), expected.size());
  for (size_t i = 0; i < value.size(); ++i) EXPECT_NEAR(value[i], expected[i], 1e-5) << i;
  for (size_t l = 0; l < exact.leaves.size(); ++l) {
    for (size_t i = 0; i < exact.leaves[l].grad.size(); ++i) {
      const double reference = exact.leaves[l].grad[i];
      EXPECT_NEAR(rounded.leaves[l].grad[i], reference, 1e-4 * (1 + std::abs(reference)))
          << l << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Operator, testing::ValuesIn(AllCases()),
                         [](const auto& param) { return param.param.name; });

// Rows of 2, 0, 3, 1 and 0 items.
TEST(JaggedPool, DividesTheSumByTheCountOrItsRootAndKeepsEmptyListsAtZero) {
  for (auto [pooling, of_two, of_three] : {std::tuple{SUM, 1.0, 1.0},
                                           {MEAN, 0.5, 1.0 / 3},
                                           {SQRTN, std::sqrt(0.5), std::sqrt(1.0 / 3)}}) {
    TapeFixture<double> fixture(1);
    fixture.Add(6, 1);
    fixture.leaves[0].value = {1, 2, 4, 8, 16, 32};
    const auto pooled = fixture.Run([&](TapeT<double>& tape, const Vars<double>& x) {
      return JaggedPool<double>(tape, x[0], TestOffsets(), pooling);
    });
    const std::vector<double> expected{3 * of_two, 0, 28 * of_three, 32, 0};
    for (size_t r = 0; r < expected.size(); ++r) EXPECT_DOUBLE_EQ(pooled[r], expected[r]) << r;
  }
}

// What the lane's statistics receive: mean and unbiased variance; one row: 0; no rows: nothing.
TEST(NormStatistics, LaneReceivesMeanAndUnbiasedVariance) {
  const FlatSlice mean = StatisticSlice(0, 1), variance = StatisticSlice(1, 1);
  for (bool dice : {true, false}) {
    for (int64_t rows : {0, 1, 3}) {
      TapeFixture<double> fixture(1);
      fixture.Add(rows, 1);
      if (rows == 3) fixture.leaves[0].value = {1.0, 2.0, 6.0};
      fixture.Add(1, 1);
      fixture.Add(1, 1);
      fixture.lane_statistics.assign(2, -5.0);
      fixture.Run([&](TapeT<double>& tape, const Vars<double>& x) {
        return dice ? Dice<double>(tape, x[0], x[1], {&mean, &variance})
                    : BatchNorm<double>(tape, x[0], x[1], x[2], {&mean, &variance});
      });
      const std::vector<double> expected =
          rows == 0   ? std::vector<double>{-5.0, -5.0}
          : rows == 1 ? std::vector<double>{fixture.leaves[0].value[0], 0.0}
                      : std::vector<double>{3.0, 7.0};
      EXPECT_EQ(fixture.lane_statistics, expected) << rows;
    }
  }
}

TEST(Dropout, MaskIsAFunctionOfPositionWithTheRateAskedFor) {
  auto mask = [](LanePosition position, uint64_t seed, int64_t rows) {
    TapeFixture<float> fixture(1);
    fixture.Add(rows, 30);
    std::fill(fixture.leaves[0].value.begin(), fixture.leaves[0].value.end(), 1.0f);
    fixture.position = position;
    return fixture.Run(
        [&](Tape& tape, const Vars<float>& x) { return Dropout<float>(tape, x[0], 0.25f, seed); });
  };
  const std::vector<float> base = mask({5, 2}, 9, 400);
  EXPECT_EQ(mask({5, 2}, 9, 400), base);
  EXPECT_NE(mask({6, 2}, 9, 400), base);
  EXPECT_NE(mask({5, 3}, 9, 400), base);
  EXPECT_NE(mask({5, 2}, 8, 400), base);
  const std::vector<float> shorter = mask({5, 2}, 9, 100);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), base.begin()));
  double kept = 0;
  for (float y : base) {
    ASSERT_TRUE(y == 0.0f || y == 1.0f / 0.75f);
    kept += y != 0.0f;
  }
  EXPECT_NEAR(kept / 12'000, 0.75, 4 * std::sqrt(0.25 * 0.75 / 12'000));
}

TEST(Dropout, IsTheIdentityInEvaluation) {
  TapeFixture<float> fixture(1);
  fixture.Add(5, 3);
  const auto y = fixture.Run(
      [](Tape& tape, const Vars<float>& x) { return Dropout<float>(tape, x[0], 0.5f, 1); },
      {.training = false, .gradients = true});
  EXPECT_EQ(y, fixture.leaves[0].value);
}

}  // namespace
}  // namespace trestle
