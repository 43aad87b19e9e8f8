#include "backend/tape.h"

#include <gtest/gtest.h>

#include <cmath>

#include "backend/ops.h"
#include "tests/backend/tape_fixture.h"

namespace trestle {
namespace {

TEST(Tape, GradientsOfAnInputUsedTwiceAdd) {
  TapeFixture<double> fixture(1);
  fixture.Add(3, 2);
  ExpectGradientsMatch(fixture, [](TapeT<double>& tape, const std::vector<VarT<double>>& x) {
    VarT<double> square = Multiply<double>(tape, x[0], x[0]);
    return Add<double>(tape, square, Subtract<double>(tape, square, x[0]));
  });
}

TEST(Tape, AnInputTheOutputDoesNotDependOnGetsZeros) {
  TapeFixture<double> fixture(1);
  fixture.Add(3, 2);
  fixture.Add(4, 1);
  fixture.Run([](TapeT<double>&, const std::vector<VarT<double>>& x) { return x[0]; });
  EXPECT_EQ(fixture.leaves[1].grad, std::vector<double>(4, 0.0));
}

TEST(Tape, ParameterGradientsAddToWhatTheCallerZeroed) {
  ParameterSet parameters(1);
  const ParameterId id = parameters.Add("w", 1, 2, {ParameterInit::Kind::kConstant, 3.0f});
  std::vector<float> grads(2, 0.0f);
  Arena arena;
  Tape tape(&arena);
  tape.Reset({}, {}, std::as_const(parameters).values(), grads, {}, {});
  Var w = tape.Parameter(parameters.slice(id));
  Var again = tape.Parameter(parameters.slice(id));
  Var loss = SumColumns<float>(tape, Multiply<float>(tape, w, again));
  EXPECT_EQ(loss->value[0], 18.0f);
  tape.Backward(loss);
  EXPECT_EQ(grads, (std::vector<float>{6.0f, 6.0f}));
}

TEST(Tape, WithoutGradientsNothingIsRecorded) {
  TapeFixture<double> fixture(1);
  fixture.Add(3, 2);
  fixture.Run([](TapeT<double>& tape,
                 const std::vector<VarT<double>>& x) { return Tanh<double>(tape, x[0]); },
              {.training = false, .gradients = false});
  EXPECT_EQ(fixture.leaves[0].grad, std::vector<double>(6, 7.0));
}

TEST(ParameterSet, InitialValuesAreFunctionsOfSeedNameAndElement) {
  const ParameterInit glorot{ParameterInit::Kind::kGlorotNormal};
  ParameterSet one(5), two(5), other(6);
  one.Add("a", 300, 100, glorot);
  two.Add("before", 7, 7, glorot);
  const ParameterId id = two.Add("a", 300, 100, glorot);
  other.Add("a", 300, 100, glorot);
  const std::vector<float> a(one.values().begin(), one.values().end());
  const auto second = two.values().subspan(two.slice(id).offset);
  EXPECT_TRUE(std::equal(a.begin(), a.end(), second.begin()));
  EXPECT_FALSE(std::equal(a.begin(), a.end(), other.values().begin()));
  double sum = 0, squares = 0;
  for (float x : a) sum += x, squares += double{x} * x;
  const double n = static_cast<double>(a.size());
  EXPECT_NEAR(sum / n, 0.0, 4 * std::sqrt(2.0 / 400 / n));
  EXPECT_NEAR(squares / n, 2.0 / 400, 4 * std::sqrt(2.0 / n) * 2.0 / 400);
}

}  // namespace
}  // namespace trestle
