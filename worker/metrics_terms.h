// What one row adds to the metrics, from its logit and label.
//
// Thread safety: pure functions.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "worker/metrics_auc.h"

namespace trestle {

// Natural log; at most 2,047, since a term of the fixed-point sum is below 2^11.
inline double LogLoss(double z, bool positive) {
  constexpr double kMost = 2'047;
  const double loss = std::max(z, 0.0) - (positive ? z : 0.0) + std::log1p(std::exp(-std::fabs(z)));
  return std::min(loss, kMost);
}

// The prediction that a logit means.
inline double Probability(double z) { return 1 / (1 + std::exp(-z)); }

// 33 bits, in the order of logits, the label last: what CountPairs takes.
inline uint64_t AucKey(float logit, bool positive) {
  return (uint64_t{OrderedBits(logit)} << 1) | (positive ? 1 : 0);
}

}  // namespace trestle
