// EarlyStopping: which evaluation was the best, and whether enough of them in a row were no better.
// Pure: its state is all that a checkpoint must hold for a resumed run to go on exactly.
//
// An evaluation is better if its value is strictly beyond the best one's, so that of equal ones the
// first wins. NaN (an AUC without both labels) is never better.
//
// Thread safety: a plain value.
#pragma once

#include <cstdint>

namespace trestle {

class EarlyStopping {
 public:
  struct State {
    int64_t step = 0;       // training steps before the newest evaluation; 0: none yet
    int64_t best_step = 0;  // before the best one; 0: none yet
    double best_value = 0;
    int64_t since_best = 0;  // evaluations after it
  };

  // `patience`: evaluations in a row that may be no better; 0: any number.
  EarlyStopping(bool higher_is_better, int64_t patience, State state)
      : higher_is_better_(higher_is_better), patience_(patience), state_(state) {}

  // The evaluation after `step`, above 0 and that of the one before. True: the best so far.
  bool Add(int64_t step, double value);
  // Whether training is to end.
  bool exhausted() const { return patience_ > 0 && state_.since_best >= patience_; }
  const State& state() const { return state_; }

 private:
  bool higher_is_better_;
  int64_t patience_;
  State state_;
};

}  // namespace trestle
