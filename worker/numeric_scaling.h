// What a numeric cell goes through: transform, then scaling by the column's statistics.
// Thread safety: pure functions and plain values.
#pragma once

#include "worker/input.h"
#include "worker/schema.h"

namespace trestle {

double Transform(NumericFeature::Transform transform, double x);

// Whether a transformed cell counts: others make their row bad and are left out of statistics,
// whose sums of squares are then far from a double's end (one 1e300 would make the deviation
// infinite and the whole column 0).
bool FitsFloat(double x);

// Whether it can say how much a row counts: at least 0, and a float.
bool IsWeight(double x);

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
