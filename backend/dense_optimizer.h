// FlatOptimizer: steps all dense parameters at once, as one flat vector, from the mean gradient of
// a step. Clipping by the global norm comes first, then L2 (l2 * w, of regularized slices only),
// then the optimizer's own rule.
//
// Every worker computes the same bits: the norm is summed in double in a fixed order, powers of
// Adam's betas by repeated multiplication (no libm), elements one by one.
//
// Thread safety: one thread. Device: host. Errors: kInvalidConfig names the field.
// Source: PyTorch's forms; Adam is Kingma and Ba 2015, algorithm 1 (MODELS form A), with the step
// of the run as its t.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/optimizer.pb.h"
#include "backend/parameters.h"
#include "base/status.h"

namespace trestle {

class FlatOptimizer {
 public:
  // One value a parameter, as it goes to files: "adam.m".
  struct State {
    std::string name;
    std::vector<float> values;
  };

  virtual ~FlatOptimizer() = default;

  // `gradient` is laid out as the parameters and is changed in place by clipping and L2. `step`
  // counts from 1; the learning rate is times `lr_factor`.
  void Step(int64_t step, float lr_factor, std::span<float> gradient, ParameterSet* parameters);

  std::vector<State>& state() { return state_; }
  const std::vector<State>& state() const { return state_; }

 protected:
  // The rule of one optimizer: new weights from the gradient.
  virtual void Update(int64_t step, float lr_factor, std::span<const float> gradient,
                      std::span<float> weights) = 0;

  std::vector<State> state_;

 private:
  friend Result<std::unique_ptr<FlatOptimizer>> MakeFlatOptimizer(const DenseOptimizer& settings,
                                                                  int64_t size);
  float clip_norm_ = 0.0f;  // 0: none
  float l2_ = 0.0f;
};

// The optimizer of `size` parameters; Adam unless another is chosen. Defaults are
// optimizer.proto's.
Result<std::unique_ptr<FlatOptimizer>> MakeFlatOptimizer(const DenseOptimizer& settings,
                                                         int64_t size);

// sqrt(sum g^2), in double, in an order that depends on the size alone.
double GlobalNorm(std::span<const float> gradient);

}  // namespace trestle
