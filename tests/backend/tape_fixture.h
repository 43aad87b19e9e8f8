// A tape with random inputs for operator tests, and the check of its gradients against central
// finite differences in double. Functions of the seed alone.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/ops.h"
#include "base/thread_pool.h"

namespace trestle {

// The leaves an operator reads. Values are drawn in double, so float and double see the same
// numbers.
template <class T>
struct Leaf {
  int64_t rows, cols;
  std::vector<T> value, grad;
};

template <class T>
class TapeFixture {
 public:
  using Build = std::function<VarT<T>(TapeT<T>&, const std::vector<VarT<T>>&)>;

  explicit TapeFixture(uint32_t seed) : random_(seed) { UseOneOpenMpThread(); }

  int Add(int64_t rows, int64_t cols, double scale = 1.0) {
    Leaf<T> leaf{rows, cols, {}, {}};
    std::normal_distribution<double> normal(0.0, scale);
    for (int64_t i = 0; i < rows * cols; ++i) {
      leaf.value.push_back(static_cast<T>(static_cast<float>(normal(random_))));
    }
    leaf.grad.assign(leaf.value.size(), T{7});  // garbage, to be overwritten
    leaves.push_back(std::move(leaf));
    return static_cast<int>(leaves.size()) - 1;
  }

  // The operator's output, copied. Also runs backward from a fixed random weighting of the output's
  // elements (so that every output element has a gradient of its own) unless `mode` records none.
  std::vector<T> Run(const Build& build, typename TapeT<T>::Mode mode = {}) {
    tape->Reset(mode, position, parameters, parameter_grads, statistics, lane_statistics);
    std::vector<VarT<T>> vars;
    for (Leaf<T>& leaf : leaves) {
      vars.push_back(tape->Input(leaf.value.data(), mode.gradients ? leaf.grad.data() : nullptr,
                                 leaf.rows, leaf.cols));
    }
    VarT<T> output = build(*tape, vars);
    output_rows = output->rows;
    output_cols = output->cols;
    std::vector<T> result(output->value, output->value + output->size());
    VarT<T> loss = Weigh(output);
    loss_value = loss->value[0];
    if (loss->needs_grad) tape->Backward(loss);
    return result;
  }

  std::unique_ptr<Arena> arena = std::make_unique<Arena>();
  std::unique_ptr<TapeT<T>> tape = std::make_unique<TapeT<T>>(arena.get());
  LanePosition position{3, 1};
  std::vector<Leaf<T>> leaves;
  std::vector<T> parameters, parameter_grads, statistics, lane_statistics;
  int64_t output_rows = 0, output_cols = 0;
  T loss_value = 0;

 private:
  VarT<T> Weigh(VarT<T> output) {
    std::mt19937 random(99);
    std::normal_distribution<double> normal;
    VarT<T> weights = tape->New(output->rows, output->cols, false);
    for (int64_t i = 0; i < output->size(); ++i) {
      weights->value[i] = static_cast<T>(static_cast<float>(normal(random)));
    }
    return SumColumns<T>(*tape, SumRows<T>(*tape, Multiply<T>(*tape, output, weights)));
  }

  std::mt19937 random_;
};

using DoubleBuild = TapeFixture<double>::Build;

// Central differences of every element of every leaf. `kink` skips elements nearer to 0 than that.
inline void ExpectGradientsMatch(TapeFixture<double>& fixture, const DoubleBuild& build,
                                 TapeT<double>::Mode mode = {}, double tolerance = 2e-7) {
  fixture.Run(build, mode);
  std::vector<std::vector<double>> grads;
  for (const Leaf<double>& leaf : fixture.leaves) grads.push_back(leaf.grad);
  TapeT<double>::Mode forward = mode;
  forward.gradients = false;
  constexpr double kStep = 1e-5;
  for (size_t l = 0; l < fixture.leaves.size(); ++l) {
    for (size_t i = 0; i < grads[l].size(); ++i) {
      double& x = fixture.leaves[l].value[i];
      const double kept = x;
      x = kept + kStep;
      fixture.Run(build, forward);
      const double above = fixture.loss_value;
      x = kept - kStep;
      fixture.Run(build, forward);
      const double below = fixture.loss_value;
      x = kept;
      const double expected = (above - below) / (2 * kStep);
      ASSERT_NEAR(grads[l][i], expected, tolerance * (1 + std::abs(expected)))
          << "leaf " << l << " element " << i;
    }
  }
}

// Two ways to compute the same: values, and gradients of every leaf.
template <class T>
void ExpectSameFunction(TapeFixture<T>& fixture, const typename TapeFixture<T>::Build& one,
                        const typename TapeFixture<T>::Build& other, double tolerance) {
  const std::vector<T> value = fixture.Run(one);
  const std::vector<Leaf<T>> leaves = fixture.leaves;
  const std::vector<T> expected = fixture.Run(other);
  ASSERT_EQ(value.size(), expected.size());
  for (size_t i = 0; i < value.size(); ++i) {
    ASSERT_NEAR(value[i], expected[i], tolerance * (1 + std::abs(expected[i]))) << "element " << i;
  }
  for (size_t l = 0; l < leaves.size(); ++l) {
    for (size_t i = 0; i < leaves[l].grad.size(); ++i) {
      const T reference = fixture.leaves[l].grad[i];
      ASSERT_NEAR(leaves[l].grad[i], reference, tolerance * (1 + std::abs(reference)))
          << "gradient of leaf " << l << " element " << i;
    }
  }
}

// Histories of the lengths given; 0 is an ordinary one.
inline std::vector<int32_t> OffsetsOf(const std::vector<int>& lengths) {
  std::vector<int32_t> offsets{0};
  for (int length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

}  // namespace trestle
