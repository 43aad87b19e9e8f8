#include "backend/activated_linear.h"

#include <gtest/gtest.h>

#include "backend/linear.h"
#include "backend/ops.h"
#include "tests/backend/tape_fixture.h"

namespace trestle {
namespace {

using Kinds = RowActivation<double>::Kind;

struct FusedCase {
  std::string name;
  Kinds kind;
};

void PrintTo(const FusedCase& c, std::ostream* out) { *out << c.name; }

const FlatSlice& Mean(int64_t k) {
  static std::deque<FlatSlice> slices;
  return slices.emplace_back(FlatSlice{"mean", 1, static_cast<int>(k), 0, false});
}
const FlatSlice& Variance(int64_t k) {
  static std::deque<FlatSlice> slices;
  return slices.emplace_back(FlatSlice{"variance", 1, static_cast<int>(k), k, false});
}

// Leaves: z, weight, bias, parameter of the activation.
template <class T>
TapeFixture<T> LayerFixture(int64_t m, int64_t k, int64_t n) {
  TapeFixture<T> fixture(12);
  fixture.Add(m, k);
  fixture.Add(k, n, 0.3);
  fixture.Add(1, n);
  fixture.Add(1, k);
  fixture.statistics.assign(2 * k, T{3} / 4);
  fixture.lane_statistics.assign(2 * k, T{0});
  return fixture;
}

template <class T>
typename TapeFixture<T>::Build Fused(Kinds kind) {
  return [kind](TapeT<T>& tape, const std::vector<VarT<T>>& x) {
    RowActivation<T> activation{static_cast<typename RowActivation<T>::Kind>(kind)};
    if (kind == Kinds::kPRelu || kind == Kinds::kDice) activation.parameter = x[3];
    const int64_t k = x[0]->cols;
    activation.statistics = {&Mean(k), &Variance(k)};
    return ActivatedLinear<T>(tape, x[0], activation, x[1], x[2]);
  };
}

template <class T>
VarT<T> Activated(TapeT<T>& tape, Kinds kind, VarT<T> z, VarT<T> parameter) {
  switch (kind) {
    case Kinds::kSigmoid:
      return Sigmoid<T>(tape, z);
    case Kinds::kTanh:
      return Tanh<T>(tape, z);
    case Kinds::kRelu:
      return Relu<T>(tape, z);
    case Kinds::kPRelu:
      return PRelu<T>(tape, z, parameter);
    case Kinds::kDice:
      return Dice<T>(tape, z, parameter, {&Mean(z->cols), &Variance(z->cols)});
  }
  return nullptr;
}

template <class T>
typename TapeFixture<T>::Build Textbook(Kinds kind) {
  return [kind](TapeT<T>& tape, const std::vector<VarT<T>>& x) {
    return Linear<T>(tape, Activated<T>(tape, kind, x[0], x[3]), x[1], x[2]);
  };
}

class ActivatedLinearOf : public testing::TestWithParam<FusedCase> {};

TEST_P(ActivatedLinearOf, GradientsMatchFiniteDifferences) {
  for (bool training : {true, false}) {
    for (int64_t m : {0, 1, 5}) {
      auto fixture = LayerFixture<double>(m, 4, 3);
      ExpectGradientsMatch(fixture, Fused<double>(GetParam().kind), {.training = training}, 1e-6);
    }
  }
}

TEST_P(ActivatedLinearOf, EqualsItsTextbookForm) {
  for (int64_t m : {0, 1, 64, 65, 200}) {
    for (auto [k, n] :
         {std::pair<int64_t, int64_t>{80, 40}, {40, 1}, {7, 3}, {200, 80}, {130, 1}}) {
      auto exact = LayerFixture<double>(m, k, n);
      ExpectSameFunction<double>(exact, Fused<double>(GetParam().kind),
                                 Textbook<double>(GetParam().kind), 1e-11);
      auto rounded = LayerFixture<float>(m, k, n);
      ExpectSameFunction<float>(rounded, Fused<float>(GetParam().kind),
                                Textbook<float>(GetParam().kind), 2e-3);
    }
  }
}

TEST_P(ActivatedLinearOf, RepeatsBitForBit) {
  auto fixture = LayerFixture<float>(300, 80, 40);
  const auto first = fixture.Run(Fused<float>(GetParam().kind));
  const auto leaves = fixture.leaves;
  EXPECT_EQ(fixture.Run(Fused<float>(GetParam().kind)), first);
  for (size_t l = 0; l < leaves.size(); ++l) EXPECT_EQ(leaves[l].grad, fixture.leaves[l].grad) << l;
}

INSTANTIATE_TEST_SUITE_P(All, ActivatedLinearOf,
                         testing::Values(FusedCase{"Sigmoid", Kinds::kSigmoid},
                                         FusedCase{"Tanh", Kinds::kTanh},
                                         FusedCase{"Relu", Kinds::kRelu},
                                         FusedCase{"PRelu", Kinds::kPRelu},
                                         FusedCase{"Dice", Kinds::kDice}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace trestle
