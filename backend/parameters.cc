#include "backend/parameters.h"

#include <glog/logging.h>

#include <cmath>
#include <numbers>

#include "base/hash.h"
#include "base/philox.h"

namespace trestle {
namespace {

// Standard normal deviate of element i: Box-Muller on two words of Philox(seed, i). In double, so
// that the float it is rounded to does not depend on the last bit of a libm.
double NormalAt(uint64_t seed, int64_t element) {
  const PhiloxCounter words = Philox(seed, static_cast<uint64_t>(element), 0);
  const double u = UniformFloatAboveZero(words[0]);
  const double v = UniformFloat(words[1]);
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

void CheckNewName(const std::vector<FlatSlice>& slices, const std::string& name) {
  for (const FlatSlice& slice : slices) CHECK_NE(slice.name, name) << "registered twice";
}

double StandardDeviation(const ParameterInit& init, int rows, int cols) {
  if (init.kind == ParameterInit::Kind::kGlorotNormal) return std::sqrt(2.0 / (rows + cols));
  return init.value;
}

}  // namespace

ParameterId ParameterSet::Add(const std::string& name, int rows, int cols, ParameterInit init,
                              bool regularized) {
  CHECK_GT(rows, 0) << name;
  CHECK_GT(cols, 0) << name;
  CheckNewName(slices_, name);
  const FlatSlice slice{name, rows, cols, size(), regularized};
  values_.resize(static_cast<size_t>(slice.offset + slice.size()), init.value);
  if (init.kind != ParameterInit::Kind::kConstant) {
    const uint64_t seed = DeriveSeed(seed_, name);
    const double deviation = StandardDeviation(init, rows, cols);
    for (int64_t i = 0; i < slice.size(); ++i) {
      values_[slice.offset + i] = static_cast<float>(deviation * NormalAt(seed, i));
    }
  }
  slices_.push_back(slice);
  return {static_cast<int>(slices_.size()) - 1};
}

StatisticId StatisticSet::Add(const std::string& name, int cols, float initial, float rho) {
  CHECK_GT(cols, 0) << name;
  CheckNewName(slices_, name);
  slices_.push_back({name, 1, cols, size(), false});
  rhos_.push_back(rho);
  values_.resize(values_.size() + static_cast<size_t>(cols), initial);
  return {static_cast<int>(slices_.size()) - 1};
}

}  // namespace trestle
