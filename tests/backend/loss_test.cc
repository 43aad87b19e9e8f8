// The losses: slopes against central differences in double, values against their formulas, extreme
// logits, weights and smoothing.
#include "backend/loss.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>

#include <cmath>
#include <limits>

#include "tests/backend/tape_fixture.h"

namespace trestle {
namespace {

const std::vector<float> kLabels{1, 0, 0, 1, 1, 0, 1, 0, 0};
const std::vector<float> kWeights{1, 2, 0.5f, 3, 0, 1, 0.25f, 1, 4};

Result<LossRule> RuleOf(const std::string& text) {
  Loss settings;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &settings)) << text;
  return MakeLossRule(settings);
}

constexpr const char* kRules[] = {"",
                                  "label_smoothing: 0.2",
                                  "focal {}",
                                  "focal { alpha: 0.25 gamma: 2 }",
                                  "focal { gamma: 0 }",
                                  "focal { gamma: 3.5 } label_smoothing: 0.1",
                                  "mixed {}",
                                  "mixed { share: 0.3 alpha: 0.6 gamma: 1 } label_smoothing: 0.05"};

template <class T>
T LossAt(const LossRule& rule, T logit, float label) {
  TapeFixture<T> fixture(1);
  fixture.Add(1, 1);
  fixture.leaves[0].value = {logit};
  return fixture.Run([&](TapeT<T>& tape, const std::vector<VarT<T>>& x) {
    return LossSum<T>(tape, x[0], &label, nullptr, rule);
  })[0];
}

TEST(LossSum, GradientMatchesFiniteDifferences) {
  for (const char* text : kRules) {
    SCOPED_TRACE(text);
    const LossRule rule = RuleOf(text).value();
    for (const float* weights : {static_cast<const float*>(nullptr), kWeights.data()}) {
      for (int64_t rows : {0, 1, 9}) {
        TapeFixture<double> fixture(4);
        fixture.Add(rows, 1, 3.0);
        ExpectGradientsMatch(fixture, [&](TapeT<double>& tape, const std::vector<VarT<double>>& x) {
          return LossSum<double>(tape, x[0], kLabels.data(), weights, rule);
        });
      }
    }
  }
}

TEST(LossSum, IsTheFormulaOfTheRow) {
  for (double z : {-4.0, -0.5, 0.0, 1.0, 6.0}) {
    const double p = 1 / (1 + std::exp(-z));
    EXPECT_NEAR(LossAt(RuleOf("").value(), z, 1), -std::log(p), 1e-12);
    const LossRule focal = RuleOf("focal {}").value();
    EXPECT_NEAR(LossAt(focal, z, 1), -0.8 * std::pow(1 - p, 0.6) * std::log(p), 1e-7);
    EXPECT_NEAR(LossAt(focal, z, 0), -0.2 * std::pow(p, 0.6) * std::log(1 - p), 1e-7);
    const LossRule mixed = RuleOf("mixed {}").value();
    EXPECT_NEAR(LossAt(mixed, z, 1), (LossAt(focal, z, 1) - std::log(p)) / 2, 1e-7);
    const LossRule smooth = RuleOf("label_smoothing: 0.2").value();
    EXPECT_NEAR(LossAt(smooth, z, 1), -0.9 * std::log(p) - 0.1 * std::log(1 - p), 1e-7);
  }
}

TEST(LossSum, StaysFiniteAtExtremeLogits) {
  for (const char* text : kRules) {
    TapeFixture<float> fixture(4);
    fixture.Add(4, 1);
    fixture.leaves[0].value = {200.0f, -200.0f, 200.0f, -200.0f};
    const std::vector<float> labels{1, 0, 0, 1};
    const auto loss = fixture.Run([&](Tape& tape, const std::vector<Var>& x) {
      return LossSum<float>(tape, x[0], labels.data(), nullptr, RuleOf(text).value());
    });
    EXPECT_TRUE(std::isfinite(loss[0])) << text;
    EXPECT_GT(loss[0], 100.0f) << text;
    for (float g : fixture.leaves[0].grad) EXPECT_TRUE(std::isfinite(g)) << text;
  }
  EXPECT_EQ(LossAt(RuleOf("").value(), 200.0f, 0), 200.0f);
}

// So the terms of a lane stay within the fixed-point range as those of the log loss do.
TEST(LossSum, ALogitThatIsNotFiniteShows) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const char* text : {"focal {}", "mixed {}", "focal {} label_smoothing: 0.1"}) {
    const LossRule rule = RuleOf(text).value();
    for (const double logit : {kInfinity, -kInfinity, std::nan("")}) {
      EXPECT_TRUE(std::isnan(LossAt<double>(rule, logit, 1))) << text << " " << logit;
      EXPECT_TRUE(std::isnan(LossAt<double>(rule, logit, 0))) << text << " " << logit;
    }
  }
}

TEST(LossSum, SlopeOfTheFocalLossIsBounded) {
  for (double gamma : {0.0, 0.6, 2.0, 5.0}) {
    const LossRule rule{.focal_share = 1, .alpha = 1, .gamma = gamma};
    double steepest = 0;
    for (double z = -30; z < 30; z += 0.01) {
      steepest =
          std::max(steepest, std::abs(LossAt(rule, z + 0.005, 1) - LossAt(rule, z, 1)) / 0.005);
    }
    EXPECT_LE(steepest, 1 + gamma / std::exp(1.0) + 1e-6) << gamma;
  }
}

TEST(LossSum, WeightsOfOneChangeNoBit) {
  const std::vector<float> ones(9, 1.0f);
  for (const char* text : kRules) {
    std::vector<std::vector<float>> outcomes;
    for (const float* weights : {static_cast<const float*>(nullptr), ones.data()}) {
      TapeFixture<float> fixture(4);
      fixture.Add(9, 1, 3.0);
      outcomes.push_back(fixture.Run([&](Tape& tape, const std::vector<Var>& x) {
        return LossSum<float>(tape, x[0], kLabels.data(), weights, RuleOf(text).value());
      }));
      const std::vector<float>& grad = fixture.leaves[0].grad;
      outcomes.back().insert(outcomes.back().end(), grad.begin(), grad.end());
    }
    EXPECT_EQ(outcomes[0], outcomes[1]) << text;
  }
}

TEST(LossRule, NamesTheFieldThatIsOutOfRange) {
  for (const auto& [text, message] : std::initializer_list<std::pair<const char*, const char*>>{
           {"focal { alpha: 1.5 }", "loss.focal.alpha: 1.5 is not allowed; must be in [0, 1]"},
           {"focal { gamma: nan }", "loss.focal.gamma: nan is not allowed"},
           {"mixed { gamma: -1 }", "loss.mixed.gamma: -1 is not allowed; must be 0 or more"},
           {"mixed { share: 2 }", "loss.mixed.share: 2 is not allowed; must be in [0, 1]"},
           {"label_smoothing: 1", "loss.label_smoothing: 1 is not allowed; must be in [0, 1)"}}) {
    const auto rule = RuleOf(text);
    ASSERT_FALSE(rule.ok()) << text;
    EXPECT_THAT(rule.status().ToString(), testing::HasSubstr(message));
  }
}

}  // namespace
}  // namespace trestle
