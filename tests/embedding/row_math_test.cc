// Optimizers against a scalar form (bit for bit) and a double-precision one (closely); initializers
// against their moments.
#include "embedding/row_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace trestle::embedding {
namespace {

constexpr int kSteps = 5;
constexpr float kLr = 0.03f;
constexpr float kL2 = 0.01f;

std::vector<float> RandomFloats(std::mt19937_64& random, int n) {
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

// The optimizer's step written once for any real type, one element after the other.
template <class Real>
void ReferenceStep(const RowOptimizer& optimizer, std::vector<Real>& w, std::vector<Real>& s,
                   const std::vector<float>& g, int64_t step) {
  const int dim = static_cast<int>(w.size());
  std::vector<Real> gradient(dim);
  const auto gather = [&](float l2) {
    for (int d = 0; d < dim; ++d) gradient[d] = Real(g[d]) + Real(l2) * w[d];
  };
  if (const auto* sgd = std::get_if<SgdRow>(&optimizer)) {
    gather(sgd->l2);
    for (int d = 0; d < dim; ++d) w[d] -= Real(sgd->lr) * gradient[d];
  } else if (const auto* a = std::get_if<AdagradRow>(&optimizer)) {
    gather(a->l2);
    for (int d = 0; d < dim; ++d) {
      s[d] += gradient[d] * gradient[d];
      w[d] -= Real(a->lr) * gradient[d] / (std::sqrt(s[d]) + Real(a->epsilon));
    }
  } else if (const auto* r = std::get_if<RowwiseAdagradRow>(&optimizer)) {
    gather(r->l2);
    Real lanes[8] = {};
    for (int d = 0; d < dim; ++d) lanes[d % 8] += gradient[d] * gradient[d];
    const Real sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
                     ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    s[0] += sum / Real(dim);
    const Real rate = Real(r->lr) / (std::sqrt(s[0]) + Real(r->epsilon));
    for (int d = 0; d < dim; ++d) w[d] -= rate * gradient[d];
  } else {
    const AdamRow& adam = std::get<AdamRow>(optimizer);
    gather(adam.l2);
    const double t = static_cast<double>(step);
    const Real rate = Real(double(adam.lr) * (std::sqrt(1 - std::pow(double(adam.beta2), t)) /
                                              (1 - std::pow(double(adam.beta1), t))));
    for (int d = 0; d < dim; ++d) {
      Real& m = s[d];
      Real& v = s[dim + d];
      m = Real(adam.beta1) * m + (Real(1) - Real(adam.beta1)) * gradient[d];
      v = Real(adam.beta2) * v + (Real(1) - Real(adam.beta2)) * gradient[d] * gradient[d];
      w[d] -= rate * m / (std::sqrt(v) + Real(adam.epsilon));
    }
  }
}

void ApplyStep(const RowOptimizer& optimizer, std::vector<float>& w, std::vector<float>& s,
               const std::vector<float>& g, int64_t step) {
  std::visit(
      [&](const auto& o) {
        o.AtStep(step).Apply(w.data(), s.data(), g.data(), static_cast<int>(w.size()));
      },
      optimizer);
}

class OptimizerTest : public testing::TestWithParam<RowOptimizer> {};

TEST_P(OptimizerTest, IsTheScalarFormBitForBitAndCloseToDouble) {
  std::mt19937_64 random(3);
  for (const int dim : {1, 3, 8, 16, 20, 33, 64}) {
    std::vector<float> w = RandomFloats(random, dim);
    std::vector<float> s(StateWidth(GetParam(), dim), InitialState(GetParam()));
    std::vector<float> scalar_w = w, scalar_s = s;
    std::vector<double> exact_w(w.begin(), w.end()), exact_s(s.begin(), s.end());
    for (int64_t step = 1; step <= 3 * kSteps; step += 3) {  // lazy: two of three steps pass it by
      const std::vector<float> g = RandomFloats(random, dim);
      ApplyStep(GetParam(), w, s, g, step);
      ReferenceStep(GetParam(), scalar_w, scalar_s, g, step);
      ReferenceStep(GetParam(), exact_w, exact_s, g, step);
    }
    EXPECT_EQ(w, scalar_w) << "dim " << dim;
    EXPECT_EQ(s, scalar_s) << "dim " << dim;
    for (int d = 0; d < dim; ++d) EXPECT_NEAR(w[d], exact_w[d], 2e-6 * (1 + std::fabs(w[d])));
    for (size_t i = 0; i < s.size(); ++i) EXPECT_NEAR(s[i], exact_s[i], 4e-6 * (1 + s[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerTest,
                         testing::Values(SgdRow{kLr, 0}, SgdRow{kLr, kL2},
                                         AdagradRow{kLr, 0.1f, 1e-10f, kL2},
                                         RowwiseAdagradRow{kLr, 0.1f, 1e-10f, kL2},
                                         AdamRow{kLr, 0.9f, 0.999f, 1e-8f, 0},
                                         AdamRow{kLr, 0.8f, 0.99f, 1e-6f, kL2}));

TEST(Optimizer, AdagradOfAZeroGradientChangesNothing) {
  std::vector<float> w = {1, 2}, s = {0, 0};
  ApplyStep(AdagradRow{kLr, 0, 1e-10f, 0}, w, s, {0, 0}, 1);
  EXPECT_EQ(w, (std::vector<float>{1, 2}));
  EXPECT_EQ(s, (std::vector<float>{0, 0}));
}

TEST(Optimizer, FirstAdamStepMovesByTheLearningRate) {
  std::vector<float> w = {0, 0}, s(4, 0.0f);
  ApplyStep(AdamRow{kLr, 0.9f, 0.999f, 1e-8f, 0}, w, s, {5, -0.01f}, 1);
  EXPECT_NEAR(w[0], -kLr, 1e-5);
  EXPECT_NEAR(w[1], kLr, 1e-5);
}

TEST(Optimizer, LateFirstAdamTouchMovesBySqrtOfTheBetas) {
  // Bias correction by the global step: lr (1 - b1) / sqrt(1 - b2) = 3.16 lr, as documented.
  std::vector<float> w = {0}, s(2, 0.0f);
  ApplyStep(AdamRow{kLr, 0.9f, 0.999f, 1e-8f, 0}, w, s, {5}, 1'000'000);
  EXPECT_NEAR(w[0], -3.1623f * kLr, 1e-4);
}

struct Moments {
  double mean = 0, std = 0, low = 1e30, high = -1e30;
};

// Over 20,000 keys of dim 10, which is no multiple of four.
Moments MomentsOf(const RowInitializer& initializer) {
  constexpr int kDim = 10, kKeys = 20'000;
  Moments m;
  double sum = 0, squares = 0;
  for (uint64_t key = 0; key < kKeys; ++key) {
    float w[kDim];
    FillInitialWeights(initializer, 11, key, kDim, w);
    for (const float x : w) {
      sum += x;
      squares += double{x} * x;
      m.low = std::min(m.low, double{x});
      m.high = std::max(m.high, double{x});
    }
  }
  constexpr double n = double{kDim} * kKeys;
  m.mean = sum / n;
  m.std = std::sqrt(squares / n - m.mean * m.mean);
  return m;
}

TEST(Initializer, ConstantIsConstant) {
  const Moments m = MomentsOf(ConstantInit{0.25f});
  EXPECT_EQ(m.low, 0.25);
  EXPECT_EQ(m.high, 0.25);
}

TEST(Initializer, UniformFillsItsHalfOpenRange) {
  const Moments m = MomentsOf(UniformInit{-1, 3});
  EXPECT_NEAR(m.mean, 1, 0.01);
  EXPECT_NEAR(m.std, 4 / std::sqrt(12.0), 0.01);
  EXPECT_GE(m.low, -1);
  EXPECT_LT(m.low, -0.999);
  EXPECT_LT(m.high, 3);
  EXPECT_GT(m.high, 2.999);
}

TEST(Initializer, UniformStaysBelowItsUpperBoundWhereRoundingWouldReachIt) {
  const float high = std::nextafter(1.0f, 2.0f);
  const Moments m = MomentsOf(UniformInit{1.0f, high});
  EXPECT_EQ(m.low, 1.0);
  EXPECT_EQ(m.high, 1.0);
}

TEST(Initializer, NormalHasItsMoments) {
  const Moments m = MomentsOf(NormalInit{0.5f, 2});
  EXPECT_NEAR(m.mean, 0.5, 0.02);
  EXPECT_NEAR(m.std, 2, 0.02);
  EXPECT_GT(m.high, 0.5 + 3.5 * 2);
}

TEST(Initializer, TruncatedNormalStaysWithinTwoDeviations) {
  const Moments m = MomentsOf(TruncatedNormalInit{1, 0.5f});
  EXPECT_NEAR(m.mean, 1, 0.01);
  EXPECT_NEAR(m.std, 0.8796 * 0.5, 0.005);  // of a standard normal cut at 2
  EXPECT_GE(m.low, 0);
  EXPECT_LE(m.high, 2);
  EXPECT_GT(m.high, 1.99);
}

TEST(Initializer, XavierBoundComesFromRowsAndDim) {
  Table table;
  table.set_name("t");
  table.set_dim(10);
  table.mutable_initializer()->mutable_xavier()->set_rows(590);
  const Moments m = MomentsOf(MakeRowInitializer(MakeTableSpec(table, 1).value()));
  EXPECT_GE(m.low, -0.1f);
  EXPECT_LT(m.high, 0.1f);
  EXPECT_GT(m.high, 0.0999);
}

TEST(Initializer, DependsOnSeedKeyAndElementAlone) {
  const RowInitializer normal = NormalInit{0, 1};
  float a[8], again[8], longer[11], key[8], seed[8];
  FillInitialWeights(normal, 1, 5, 8, a);
  FillInitialWeights(normal, 1, 5, 8, again);
  FillInitialWeights(normal, 1, 5, 11, longer);
  FillInitialWeights(normal, 1, 6, 8, key);
  FillInitialWeights(normal, 2, 5, 8, seed);
  for (int d = 0; d < 8; ++d) {
    EXPECT_EQ(a[d], again[d]);
    EXPECT_EQ(a[d], longer[d]);
    EXPECT_NE(a[d], key[d]);
    EXPECT_NE(a[d], seed[d]);
    for (int e = 0; e < d; ++e) EXPECT_NE(a[d], a[e]);
  }
}

}  // namespace
}  // namespace trestle::embedding
