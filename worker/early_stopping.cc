#include "worker/early_stopping.h"

#include <glog/logging.h>

#include <cmath>

namespace trestle {

bool EarlyStopping::Add(int64_t step, double value) {
  CHECK_GT(step, state_.step);
  state_.step = step;
  const bool beyond = higher_is_better_ ? value > state_.best_value : value < state_.best_value;
  const bool better = !std::isnan(value) && (state_.best_step == 0 || beyond);
  if (!better) {
    ++state_.since_best;
    return false;
  }
  state_.best_step = step;
  state_.best_value = value;
  state_.since_best = 0;
  return true;
}

}  // namespace trestle
