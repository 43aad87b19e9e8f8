// Statistics of numeric columns and their use. Source of the merge: Chan, Golub, LeVeque, "Updating
// formulae and a pairwise algorithm for computing sample variances", 1979.
#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/input.h"
#include "worker/numeric_scaling.h"

namespace trestle {

double Transform(NumericFeature::Transform transform, double x) {
  if (transform == NumericFeature::LOG1P) return std::copysign(std::log1p(std::fabs(x)), x);
  return x;
}

bool IsWeight(double x) { return x >= 0 && FitsFloat(x); }

bool FitsFloat(double x) { return std::fabs(x) <= std::numeric_limits<float>::max(); }

Scaler::Scaler(NumericFeature::Scaling scaling, const NumericStatistics& statistics) {
  if (scaling == NumericFeature::NONE) return;
  scale_ = true;
  const bool standard = scaling == NumericFeature::STANDARD;
  shift_ = standard ? statistics.mean : statistics.min;
  const double divisor = standard ? statistics.std : statistics.max - statistics.min;
  factor_ = divisor > 0 ? 1 / divisor : 0;
}

NumericStatistics MergeStatistics(const NumericStatistics& a, const NumericStatistics& b) {
  if (a.count == 0) return b;
  if (b.count == 0) return a;
  const auto na = static_cast<double>(a.count), nb = static_cast<double>(b.count);
  const double n = na + nb;
  const double delta = b.mean - a.mean;
  const double squares = a.std * a.std * na + b.std * b.std * nb + delta * delta * (na * nb / n);
  NumericStatistics merged;
  merged.count = a.count + b.count;
  merged.mean = a.mean + delta * (nb / n);
  merged.std = std::sqrt(squares / n);
  merged.min = std::min(a.min, b.min);
  merged.max = std::max(a.max, b.max);
  return merged;
}

}  // namespace trestle
