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
  } else if (const auto* momentum = std::get_if<MomentumRow>(&optimizer)) {
    gather(momentum->l2);
    for (int d = 0; d < dim; ++d) {
      s[d] = Real(momentum->momentum) * s[d] + gradient[d];
      w[d] -= Real(momentum->lr) * s[d];
    }
  } else if (const auto* rms = std::get_if<RmsPropRow>(&optimizer)) {
    gather(rms->l2);
    for (int d = 0; d < dim; ++d) {
      s[d] = Real(rms->decay) * s[d] + (Real(1) - Real(rms->decay)) * gradient[d] * gradient[d];
      w[d] -= Real(rms->lr) * gradient[d] / (std::sqrt(s[d]) + Real(rms->epsilon));
    }
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
        o.AtStep(step, 1.0f).Apply(w.data(), s.data(), g.data(), static_cast<int>(w.size()));
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
    for (size_t i = 0; i < s.size(); ++i) {
      EXPECT_NEAR(s[i], exact_s[i], 4e-6 * (1 + std::fabs(s[i])));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OptimizerTest,
    testing::Values(SgdRow{kLr, 0}, SgdRow{kLr, kL2}, MomentumRow{kLr, 0.9f, 0},
                    MomentumRow{kLr, 0.5f, kL2}, RmsPropRow{kLr, 0.99f, 1e-8f, 0},
                    RmsPropRow{kLr, 0.9f, 1e-4f, kL2}, AdagradRow{kLr, 0.1f, 1e-10f, kL2},
                    RowwiseAdagradRow{kLr, 0.1f, 1e-10f, kL2}, AdamRow{kLr, 0.9f, 0.999f, 1e-8f, 0},
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

// The paper's algorithm as it stands: z is kept, w follows from it.
struct NaiveFtrl {
  FtrlRow rule;
  std::vector<double> z, n, w;
  explicit NaiveFtrl(const FtrlRow& row, const std::vector<float>& initial)
      : rule(row), n(initial.size(), 0), w(initial.begin(), initial.end()) {
    // Where z must be for the rule to give the initial weights.
    for (const double x : w) {
      z.push_back(
          x == 0 ? 0 : -x * (double{rule.beta} / rule.lr + rule.l2) - std::copysign(rule.l1, x));
    }
  }
  void Step(const std::vector<float>& g) {
    for (size_t i = 0; i < w.size(); ++i) {
      const double more = n[i] + double{g[i]} * g[i];
      const double sigma = (std::sqrt(more) - std::sqrt(n[i])) / rule.lr;
      z[i] += g[i] - sigma * w[i];
      n[i] = more;
      const double divisor = (rule.beta + std::sqrt(n[i])) / rule.lr + rule.l2;
      w[i] = std::fabs(z[i]) <= rule.l1 ? 0 : -(z[i] - std::copysign(rule.l1, z[i])) / divisor;
    }
  }
};

TEST(Ftrl, FollowsThePapersAlgorithmFromAnyInitialWeight) {
  constexpr int kDim = 33;
  for (const FtrlRow& rule :
       {FtrlRow{0.05f, 1, 0, 0}, FtrlRow{0.05f, 1, 2, 0}, FtrlRow{0.3f, 0.1f, 1, 3}}) {
    std::mt19937_64 random(8);
    std::vector<float> w = RandomFloats(random, kDim), s(2 * kDim, 0.0f);
    for (int d = 0; d < kDim; d += 2) w[d] = 0;
    NaiveFtrl naive(rule, w);
    int zeros = 0;
    for (int64_t step = 1; step <= 300; ++step) {
      const std::vector<float> g = RandomFloats(random, kDim);
      ApplyStep(rule, w, s, g, step);
      naive.Step(g);
      for (int d = 0; d < kDim; ++d) {
        ASSERT_NEAR(w[d], naive.w[d], 2e-5) << "step " << step << " element " << d;
        ASSERT_NEAR(s[d], naive.z[d], 1e-3 * (1 + std::fabs(naive.z[d])));
        ASSERT_NEAR(s[kDim + d], naive.n[d], 1e-4 * naive.n[d]);
        zeros += w[d] == 0;
      }
    }
    EXPECT_EQ(zeros > 0, rule.l1 > 0);
  }
}

TEST(Ftrl, OneTouchOfSmallEvidenceLeavesZero) {
  std::vector<float> w(4, 0.0f), s(8, 0.0f);
  ApplyStep(FtrlRow{0.1f, 1, 0.5f, 0}, w, s, {0.5f, -0.5f, 0.2f, -0.75f}, 1);
  EXPECT_EQ(w[0], 0.0f);
  EXPECT_EQ(w[1], 0.0f);
  EXPECT_EQ(w[2], 0.0f);
  EXPECT_GT(w[3], 0.0f);
}

TEST(Ftrl, WithoutPenaltiesIsAdagradWithBeta) {
  std::mt19937_64 random(9);
  std::vector<float> w = RandomFloats(random, 8), s(16, 0.0f), adagrad_w = w, adagrad_s(8, 0.0f);
  for (int64_t step = 1; step <= 50; ++step) {
    const std::vector<float> g = RandomFloats(random, 8);
    ApplyStep(FtrlRow{kLr, 1, 0, 0}, w, s, g, step);
    ApplyStep(AdagradRow{kLr, 0, 1, 0}, adagrad_w, adagrad_s, g, step);
    for (int d = 0; d < 8; ++d) EXPECT_NEAR(w[d], adagrad_w[d], 1e-5);
  }
}

TEST(Ftrl, AFallingRateKeepsTheWeightsAndNoRateStopsThem) {
  const FtrlRow rule{0.1f, 1, 0.5f, 0.1f};
  std::vector<float> w = {1, -2, 0}, s(6, 0.0f);
  rule.AtStep(1, 1.0f).Apply(w.data(), s.data(), std::vector<float>{0.2f, 0.1f, 3}.data(), 3);
  const std::vector<float> before = w;
  rule.AtStep(2, 0.01f).Apply(w.data(), s.data(), std::vector<float>{0, 0, 0}.data(), 3);
  for (int d = 0; d < 3; ++d) EXPECT_NEAR(w[d], before[d], 1e-6);
  const std::vector<float> stopped_w = w, stopped_s = s;
  rule.AtStep(3, 0.0f).Apply(w.data(), s.data(), std::vector<float>{5, 5, 5}.data(), 3);
  EXPECT_EQ(w, stopped_w);
  EXPECT_EQ(s, stopped_s);
}

// Half the factor is half the learning rate, bit for bit.
TEST(Optimizer, FactorOfTheScheduleScalesTheLearningRate) {
  const RowOptimizer at_half[] = {SgdRow{kLr / 2, kL2},
                                  MomentumRow{kLr / 2, 0.9f, kL2},
                                  AdagradRow{kLr / 2, 0, 1e-10f, kL2},
                                  RowwiseAdagradRow{kLr / 2, 0, 1e-10f, kL2},
                                  RmsPropRow{kLr / 2, 0.9f, 1e-8f, kL2},
                                  AdamRow{kLr / 2, 0.9f, 0.999f, 1e-8f, kL2},
                                  FtrlRow{kLr / 2, 1, 0.1f, 0.2f}};
  for (const RowOptimizer& half : at_half) {
    std::mt19937_64 random(4);
    const std::vector<float> g = RandomFloats(random, 9);
    std::vector<float> w = RandomFloats(random, 9), s(StateWidth(half, 9), 0.5f);
    std::vector<float> whole_w = w, whole_s = s;
    ApplyStep(half, w, s, g, 3);
    std::visit(
        [&](auto whole) {
          whole.lr *= 2;
          whole.AtStep(3, 0.5f).Apply(whole_w.data(), whole_s.data(), g.data(), 9);
        },
        half);
    EXPECT_EQ(w, whole_w);
    EXPECT_EQ(s, whole_s);
  }
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
