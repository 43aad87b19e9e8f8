// What a numeric cell goes through: transform, then scaling by the column's statistics.
// Thread safety: pure functions and plain values.
#pragma once

#include "worker/input.h"
#include "worker/schema.h"

namespace trestle {

double Transform(NumericFeature::Transform transform, double x);

// STANDARD: (x - mean) / std; MIN_MAX: (x - min) / (max - min); 0 where the divisor is 0. Values
// outside what the statistics saw are not clipped.
class Scaler {
 public:
  Scaler(NumericFeature::Scaling scaling, const NumericStatistics& statistics);
  double operator()(double x) const { return scale_ ? (x - shift_) * factor_ : x; }

 private:
  bool scale_ = false;
  double shift_ = 0;
  double factor_ = 1;  // 0 where the divisor is 0
};

}  // namespace trestle
