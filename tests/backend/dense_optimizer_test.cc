#include "backend/dense_optimizer.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace trestle {
namespace {

DenseOptimizer Settings(const std::string& text) {
  DenseOptimizer settings;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &settings)) << text;
  return settings;
}

constexpr int kWeights = 13;  // not a multiple of any vector width
constexpr int kBiases = 3;

ParameterSet TestParameters() {
  ParameterSet parameters(7);
  parameters.Add("weight", 1, kWeights, {ParameterInit::Kind::kNormal, 0.5f}, true);
  parameters.Add("bias", 1, kBiases, {ParameterInit::Kind::kNormal, 0.5f}, false);
  return parameters;
}

// One element's textbook rule in double: (step, gradient) -> change of the weight.
using Rule = std::function<std::function<double(int, double)>()>;

// Steps the optimizer with random gradients and every element by the rule.
void ExpectFollows(const std::string& text, const Rule& rule, double l2 = 0.0, double clip = 0.0) {
  ParameterSet parameters = TestParameters();
  const int64_t size = parameters.size();
  auto optimizer = MakeFlatOptimizer(Settings(text), size);
  ASSERT_TRUE(optimizer.ok()) << optimizer.status().ToString();
  std::vector<double> weights(parameters.values().begin(), parameters.values().end());
  std::vector<std::function<double(int, double)>> elements;
  for (int64_t i = 0; i < size; ++i) elements.push_back(rule());
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int step = 1; step <= 20; ++step) {
    std::vector<float> gradient(size);
    for (float& g : gradient) g = normal(random);
    double squares = 0.0;
    for (double g : gradient) squares += g * g;
    const double factor = clip > 0.0 ? std::min(1.0, clip / std::sqrt(squares)) : 1.0;
    for (int64_t i = 0; i < size; ++i) {
      const double decay = i < kWeights ? l2 * weights[i] : 0.0;
      weights[i] += elements[i](step, gradient[i] * factor + decay);
    }
    (*optimizer)->Step(step, 1.0f, gradient, &parameters);
    for (int64_t i = 0; i < size; ++i) {
      ASSERT_NEAR(parameters.values()[i], weights[i], 2e-6 * step)
          << "step " << step << " element " << i;
    }
  }
}

Rule SgdRule(double lr) {
  return [lr] { return [lr](int, double g) { return -lr * g; }; };
}
Rule MomentumRule(double lr, double mu) {
  return [=] { return [=, v = 0.0](int, double g) mutable { return v = mu * v + g, -lr * v; }; };
}
Rule AdagradRule(double lr, double initial, double epsilon) {
  return [=] {
    return [=, s = initial](int, double g) mutable {
      s += g * g;
      return -lr * g / (std::sqrt(s) + epsilon);
    };
  };
}
Rule AdamRule(double lr, double b1, double b2, double epsilon) {
  return [=] {
    return [=, m = 0.0, v = 0.0](int t, double g) mutable {
      m = b1 * m + (1 - b1) * g;
      v = b2 * v + (1 - b2) * g * g;
      return -lr * (m / (1 - std::pow(b1, t))) / (std::sqrt(v / (1 - std::pow(b2, t))) + epsilon);
    };
  };
}

TEST(DenseOptimizer, DefaultsAreThoseOfTheSettingsMessage) {
  ExpectFollows("", AdamRule(0.001, 0.9, 0.999, 1e-8));
  ExpectFollows("adam {}", AdamRule(0.001, 0.9, 0.999, 1e-8));
  ExpectFollows("sgd {}", SgdRule(0.01));
  ExpectFollows("momentum {}", MomentumRule(0.01, 0.9));
  ExpectFollows("adagrad {}", AdagradRule(0.01, 0.0, 1e-10));
}

TEST(DenseOptimizer, FollowsItsSettings) {
  ExpectFollows("adam { lr: 0.01 beta1: 0.5 beta2: 0.9 epsilon: 0.01 }",
                AdamRule(0.01, 0.5, 0.9, 0.01));
  ExpectFollows("sgd { lr: 0.2 }", SgdRule(0.2));
  ExpectFollows("momentum { lr: 0.05 momentum: 0.5 }", MomentumRule(0.05, 0.5));
  ExpectFollows("adagrad { lr: 0.1 initial_accumulator: 0.1 epsilon: 0.001 }",
                AdagradRule(0.1, 0.1, 0.001));
}

// Half the factor is half the learning rate, bit for bit.
TEST(DenseOptimizer, FactorOfTheScheduleScalesTheLearningRate) {
  for (const std::string kind : {"sgd", "momentum", "adagrad", "adam"}) {
    std::vector<std::vector<float>> weights;
    for (const auto& [lr, factor] : {std::pair("0.25", 1.0f), {"0.5", 0.5f}}) {
      ParameterSet parameters = TestParameters();
      auto optimizer = MakeFlatOptimizer(Settings(kind + " { lr: " + lr + " }"), parameters.size());
      std::vector<float> gradient(parameters.size(), 0.3f);
      (*optimizer)->Step(2, factor, gradient, &parameters);
      weights.emplace_back(parameters.values().begin(), parameters.values().end());
    }
    EXPECT_EQ(weights[0], weights[1]) << kind;
  }
}

TEST(DenseOptimizer, L2DecaysWeightsAndNotBiases) {
  ExpectFollows("sgd { lr: 0.1 } l2: 0.3", SgdRule(0.1), 0.3);
  ExpectFollows("adam {} l2: 0.3", AdamRule(0.001, 0.9, 0.999, 1e-8), 0.3);
}

TEST(DenseOptimizer, ClipsTheGlobalNormBeforeL2) {
  ExpectFollows("sgd { lr: 0.1 } clip_norm: 0.7 l2: 0.3", SgdRule(0.1), 0.3, 0.7);
  ExpectFollows("sgd { lr: 0.1 } clip_norm: 1000", SgdRule(0.1), 0.0, 1000.0);
}

TEST(DenseOptimizer, StateIsNamedAndAsLargeAsTheParameters) {
  auto names = [](const std::string& text) {
    auto optimizer = MakeFlatOptimizer(Settings(text), 5);
    std::string all;
    for (const auto& state : (*optimizer)->state()) {
      EXPECT_EQ(state.values.size(), 5u);
      all += state.name + " ";
    }
    return all;
  };
  EXPECT_EQ(names("sgd {}"), "");
  EXPECT_EQ(names("momentum {}"), "momentum.v ");
  EXPECT_EQ(names("adagrad {}"), "adagrad.sum ");
  EXPECT_EQ(names("adam {}"), "adam.m adam.v ");
}

TEST(DenseOptimizer, RefusesSettingsOutOfRangeAllAtOnce) {
  auto message = [](const std::string& text) {
    auto made = MakeFlatOptimizer(Settings(text), 4);
    EXPECT_FALSE(made.ok()) << text;
    EXPECT_EQ(made.status().code(), StatusCode::kInvalidConfig);
    return made.status().ToString();
  };
  EXPECT_EQ(message("adam { lr: -1 beta2: 1 } clip_norm: 0"),
            "optimizer.dense.adam.lr: -1 is not allowed; must be above 0 and finite; "
            "optimizer.dense.adam.beta2: 1 is not allowed; must be in [0, 1); "
            "optimizer.dense.clip_norm: 0 is not allowed; must be above 0 and finite");
  for (const char* text :
       {"sgd { lr: 0 }", "sgd { lr: nan }", "sgd { lr: inf }", "momentum { lr: -1 }",
        "momentum { momentum: 1 }", "adagrad { lr: 0 }", "adagrad { initial_accumulator: -1 }",
        "adagrad { epsilon: 0 }", "adam { beta1: -0.1 }", "adam { epsilon: 0 }", "l2: -1",
        "l2: nan", "clip_norm: -2"}) {
    message(text);
  }
}

TEST(GlobalNorm, IsTheEuclideanNormAtAnySize) {
  for (int size : {0, 1, 7, 8, 9, 31}) {
    std::vector<float> gradient(size);
    double squares = 0.0;
    for (int i = 0; i < size; ++i) {
      gradient[i] = 0.25f * static_cast<float>(i - 3);
      squares += double{gradient[i]} * gradient[i];
    }
    EXPECT_EQ(GlobalNorm(gradient), std::sqrt(squares)) << size;  // exact terms
  }
}

}  // namespace
}  // namespace trestle
