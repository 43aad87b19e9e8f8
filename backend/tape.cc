#include "backend/tape.h"

#include <glog/logging.h>

#include <algorithm>

namespace trestle {

template <class T>
void TapeT<T>::Reset(Mode mode, LanePosition position, std::span<const T> parameters,
                     std::span<T> parameter_grads, std::span<const T> statistics,
                     std::span<T> lane_statistics) {
  arena_->Reset();
  mode_ = mode;
  position_ = position;
  parameters_ = parameters;
  parameter_grads_ = parameter_grads;
  statistics_ = statistics;
  lane_statistics_ = lane_statistics;
  last_ = nullptr;
  last_input_ = nullptr;
}

template <class T>
VarT<T> TapeT<T>::NewShell(int64_t rows, int64_t cols, bool needs_grad) {
  auto* var = new (arena_->AllocateBytes(sizeof(MatrixT<T>))) MatrixT<T>();
  var->rows = rows;
  var->cols = cols;
  var->needs_grad = needs_grad && mode_.gradients;
  return var;
}

template <class T>
VarT<T> TapeT<T>::New(int64_t rows, int64_t cols, bool needs_grad) {
  CHECK_GE(rows, 0);
  CHECK_GE(cols, 0);
  VarT<T> var = NewShell(rows, cols, needs_grad);
  var->value = arena_->template Allocate<T>(rows * cols);
  return var;
}

template <class T>
VarT<T> TapeT<T>::Input(T* value, T* grad, int64_t rows, int64_t cols) {
  VarT<T> var = NewShell(rows, cols, grad != nullptr);
  var->value = value;
  var->grad = grad;
  if (var->needs_grad) {
    last_input_ = new (arena_->AllocateBytes(sizeof(InputEntry))) InputEntry{last_input_, var};
  }
  return var;
}

template <class T>
VarT<T> TapeT<T>::Alias(VarT<T> var, int64_t rows, int64_t cols) {
  CHECK_EQ(var->size(), rows * cols);
  VarT<T> alias = NewShell(rows, cols, var->needs_grad);
  alias->value = var->value;
  return alias;
}

template <class T>
VarT<T> TapeT<T>::Parameter(const FlatSlice& slice) {
  CHECK_LE(slice.offset + slice.size(), static_cast<int64_t>(parameters_.size())) << slice.name;
  VarT<T> var = NewShell(slice.rows, slice.cols, !parameter_grads_.empty());
  // Operators only read values; one matrix type serves borrowed constants and results.
  var->value = const_cast<T*>(parameters_.data()) + slice.offset;
  if (var->needs_grad) {
    CHECK_EQ(parameters_.size(), parameter_grads_.size());
    var->grad = parameter_grads_.data() + slice.offset;
    var->has_grad = true;  // zeroed by the caller, so writers add
  }
  return var;
}

template <class T>
std::span<const T> TapeT<T>::Statistic(const FlatSlice& slice) const {
  CHECK_LE(slice.offset + slice.size(), static_cast<int64_t>(statistics_.size())) << slice.name;
  return statistics_.subspan(slice.offset, slice.size());
}

template <class T>
std::span<T> TapeT<T>::LaneStatistic(const FlatSlice& slice) {
  CHECK_LE(slice.offset + slice.size(), static_cast<int64_t>(lane_statistics_.size()))
      << slice.name;
  return lane_statistics_.subspan(slice.offset, slice.size());
}

template <class T>
GradientSink<T> TapeT<T>::Sink(VarT<T> var) {
  DCHECK(var->needs_grad);
  if (var->grad == nullptr) var->grad = arena_->template Allocate<T>(var->size());
  return {var->grad, std::exchange(var->has_grad, true)};
}

template <class T>
void TapeT<T>::Backward(VarT<T> output) {
  CHECK(output->needs_grad) << "nothing the output was computed from wants a gradient";
  const GradientSink<T> seed = Sink(output);
  std::fill_n(seed.data, output->size(), T{1});
  for (Entry* entry = last_; entry != nullptr; entry = entry->previous) {
    if (entry->output->has_grad) entry->run(entry->closure);
  }
  for (InputEntry* entry = last_input_; entry != nullptr; entry = entry->previous) {
    if (!entry->input->has_grad) std::fill_n(entry->input->grad, entry->input->size(), T{0});
  }
}

template class TapeT<float>;
template class TapeT<double>;

}  // namespace trestle
