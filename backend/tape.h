// Tape: operators record themselves on it while a model's forward code runs; Backward runs their
// backward functions in reverse. A model is forward code only.
//
// All tensors are row-major matrices [rows, cols] of T in the tape's arena. T is float in training and
// double where tests compare gradients with finite differences: operators are templates of T, and the
// explicit instantiations live in their sources. A ragged batch is a matrix of all items, [total, cols],
// beside `Offsets`: row b of the batch owns items [offsets[b], offsets[b+1]).
//
// A lane of no rows and a history of no items are ordinary: every operator takes matrices of 0 rows.
//
// Thread safety: none; one tape a thread. Ownership: matrices, values and gradients live until Reset.
// Device: host (the CUDA plugin registers its own operators; see docs/architecture.md).
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "backend/arena.h"
#include "backend/parameters.h"

namespace trestle {

using Offsets = std::span<const int32_t>;  // [rows + 1], offsets[0] == 0

// A matrix on the tape. `grad` is allocated when the first gradient arrives.
template <class T>
struct MatrixT {
  T* value = nullptr;
  T* grad = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  bool needs_grad = false;
  bool has_grad = false;  // grad holds something; the next writer must add
  int64_t size() const { return rows * cols; }
};
template <class T>
using VarT = MatrixT<T>*;
using Var = VarT<float>;

// Where a backward function puts a gradient: overwrites when `add` is false, else adds.
template <class T>
struct GradientSink {
  T* data;
  bool add;
};

// What a random operator needs to be a function of position: see backend/ops.h, Dropout.
struct LanePosition {
  int64_t step = 0;
  int32_t lane = 0;
};

template <class T>
class TapeT {
 public:
  struct Mode {
    bool training = true;   // batch statistics, dropout
    bool gradients = true;  // record backward functions
  };

  explicit TapeT(Arena* arena) : arena_(arena) {}
  TapeT(const TapeT&) = delete;
  TapeT& operator=(const TapeT&) = delete;

  // Starts a lane: forgets all matrices and resets the arena. `parameters` are read, `parameter_grads`
  // (same layout, zeroed by the caller) collect their gradients; `statistics` are read when not training,
  // `lane_statistics` (same layout) receive the lane's values when training. Spans may be empty.
  void Reset(Mode mode, LanePosition position, std::span<const T> parameters,
             std::span<T> parameter_grads, std::span<const T> statistics, std::span<T> lane_statistics);

  Mode mode() const { return mode_; }
  LanePosition position() const { return position_; }
  Arena& arena() { return *arena_; }

  // A matrix that an operator will fill. needs_grad as given (and gradients are on).
  VarT<T> New(int64_t rows, int64_t cols, bool needs_grad);
  // Borrowed values; with `grad` given the gradient is written there (overwriting; zeros by Backward if
  // the output does not depend on the input).
  VarT<T> Input(T* value, T* grad, int64_t rows, int64_t cols);
  VarT<T> Parameter(const FlatSlice& slice);
  // The values of `var` in another shape: shares them, has a gradient of its own.
  VarT<T> Alias(VarT<T> var, int64_t rows, int64_t cols);
  // Statistic of the run (not training), and where the lane's own goes (training). An operator that saw
  // no rows leaves the lane's untouched (a lane may have rows and yet no history items): callers fill
  // `lane_statistics` with NaN before the lane, and what is NaN in every channel after it had no rows.
  std::span<const T> Statistic(const FlatSlice& slice) const;
  std::span<T> LaneStatistic(const FlatSlice& slice);

  // Records a backward function: a callable without arguments, trivially destructible (it captures
  // pointers and numbers), run only if the output it belongs to got a gradient.
  template <class F>
  void Record(VarT<T> output, F backward) {
    if (!output->needs_grad) return;
    F* stored = new (arena_->AllocateBytes(sizeof(F))) F(std::move(backward));
    static_assert(std::is_trivially_destructible_v<F>);
    auto* entry = arena_->Allocate<Entry>(1);
    *entry = {last_, output, stored, [](void* f) { (*static_cast<F*>(f))(); }};
    last_ = entry;
  }

  // The sink of `var`'s gradient; only call when var->needs_grad.
  GradientSink<T> Sink(VarT<T> var);

  // Seeds output's gradient with ones and runs everything recorded, newest first.
  void Backward(VarT<T> output);

 private:
  struct Entry {
    Entry* previous;
    VarT<T> output;
    void* closure;
    void (*run)(void*);
  };
  struct InputEntry {
    InputEntry* previous;
    VarT<T> input;
  };
  VarT<T> NewShell(int64_t rows, int64_t cols, bool needs_grad);  // without values

  Arena* arena_;
  Mode mode_;
  LanePosition position_;
  std::span<const T> parameters_;
  std::span<T> parameter_grads_;
  std::span<const T> statistics_;
  std::span<T> lane_statistics_;
  Entry* last_ = nullptr;
  InputEntry* last_input_ = nullptr;
};
using Tape = TapeT<float>;

}  // namespace trestle
