// ParameterSet: all trainable dense parameters of a model in one flat vector, so that gradients are
// one fixed-point all-reduce and one optimizer pass. StatisticSet: what is not trained but averaged
// over lanes (running means and variances of Dice and batch norm), likewise flat.
//
// Thread safety: registration by one thread; afterwards const access from any thread, writes to
// values() by one thread between steps.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace trestle {

struct ParameterId { int index = -1; };
struct StatisticId { int index = -1; };

// How a parameter starts. Its elements are functions of (seed, name, element).
struct ParameterInit {
  enum class Kind { kConstant, kGlorotNormal, kNormal } kind = Kind::kConstant;
  float value = 0.0f;  // the constant, or kNormal's standard deviation
};

// A named [rows, cols] slice of a flat vector.
struct FlatSlice {
  std::string name;
  int rows = 0;
  int cols = 0;
  int64_t offset = 0;
  bool regularized = false;  // dense L2 applies: weights, not biases or activation parameters
  int64_t size() const { return int64_t{rows} * cols; }
};

class ParameterSet {
 public:
  explicit ParameterSet(uint64_t seed) : seed_(seed) {}
  ParameterId Add(const std::string& name, int rows, int cols, ParameterInit init,
                  bool regularized = false);
  const FlatSlice& slice(ParameterId id) const { return slices_[id.index]; }
  const std::vector<FlatSlice>& slices() const { return slices_; }
  std::span<float> values() { return values_; }
  std::span<const float> values() const { return values_; }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }

 private:
  uint64_t seed_;
  std::vector<FlatSlice> slices_;
  std::vector<float> values_;
};

// Running averages [1, cols]: new = (1 - rho) old + rho * mean over the step's lanes that had rows.
class StatisticSet {
 public:
  StatisticId Add(const std::string& name, int cols, float initial, float rho);
  const FlatSlice& slice(StatisticId id) const { return slices_[id.index]; }
  const std::vector<FlatSlice>& slices() const { return slices_; }
  float rho(StatisticId id) const { return rhos_[id.index]; }
  std::span<float> values() { return values_; }
  std::span<const float> values() const { return values_; }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }

 private:
  std::vector<FlatSlice> slices_;
  std::vector<float> rhos_;
  std::vector<float> values_;
};

}  // namespace trestle
