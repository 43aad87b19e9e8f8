#include "backend/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace trestle {
namespace {

std::vector<float> Grid(float limit) {
  std::vector<float> x;
  for (float v = -limit; v <= limit; v += limit / 50'000) x.push_back(v);
  for (float v = 1e-30f; v < 1; v *= 3) x.push_back(v), x.push_back(-v);
  x.push_back(0.0f);
  return x;
}

TEST(VectorMath, SigmoidIsAccurateToFloatRounding) {
  const std::vector<float> x = Grid(30.0f);
  std::vector<float> y(x.size());
  Vectors<float>().sigmoid(static_cast<int64_t>(x.size()), x.data(), y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = 1 / (1 + std::exp(-static_cast<double>(x[i])));
    ASSERT_NEAR(y[i] / exact, 1, 3e-7) << x[i];
  }
}

TEST(VectorMath, TanhIsAccurateToFloatRounding) {
  const std::vector<float> x = Grid(12.0f);
  std::vector<float> y(x.size());
  Vectors<float>().tanh(static_cast<int64_t>(x.size()), x.data(), y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::tanh(static_cast<double>(x[i]));
    ASSERT_NEAR(y[i], exact, 3e-7 * std::abs(exact)) << x[i];
  }
}

TEST(VectorMath, ExtremesSaturateAndNanStaysNan) {
  const std::vector<float> x{-1e30f, 1e30f, -INFINITY, INFINITY, NAN};
  std::vector<float> s(5), t(5);
  Vectors<float>().sigmoid(5, x.data(), s.data());
  Vectors<float>().tanh(5, x.data(), t.data());
  for (int i : {0, 2}) {
    EXPECT_LT(s[i], 1e-34f);
    EXPECT_EQ(t[i], -1.0f);
  }
  for (int i : {1, 3}) {
    EXPECT_EQ(s[i], 1.0f);
    EXPECT_EQ(t[i], 1.0f);
  }
  EXPECT_TRUE(std::isnan(s[4]));
  EXPECT_TRUE(std::isnan(t[4]));
}

// An element's result may not depend on where in the array it stands (vector body or remainder).
TEST(VectorMath, ResultsDoNotDependOnThePlaceInTheArray) {
  std::vector<float> x(67), whole(67), single(67);
  for (int i = 0; i < 67; ++i) x[i] = 0.37f * static_cast<float>(i - 30);
  Vectors<float>().sigmoid(67, x.data(), whole.data());
  for (int i = 0; i < 67; ++i) Vectors<float>().sigmoid(1, &x[i], &single[i]);
  EXPECT_EQ(whole, single);
}

}  // namespace
}  // namespace trestle
