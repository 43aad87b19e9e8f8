// Activations without statistics, dropout, and the loss.
#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "backend/ops.h"
#include "backend/ops_internal.h"
#include "backend/vector_math.h"
#include "base/philox.h"

namespace trestle {
namespace {

// keep[unit] of one row: four units share one Philox call, whose counter is (step and lane, row,
// unit/4).
void DropoutMask(uint64_t seed, LanePosition position, int64_t row, int64_t cols, double rate,
                 uint8_t* keep) {
  const auto step = static_cast<uint64_t>(position.step);
  const uint64_t where = (step << 16) | static_cast<uint16_t>(position.lane);  // lanes <= 4096
  for (int64_t c = 0; c < cols; c += 4) {
    const PhiloxCounter words =
        Philox(seed, where, (static_cast<uint64_t>(row) << 32) | static_cast<uint64_t>(c / 4));
    for (int64_t i = 0; i < std::min<int64_t>(4, cols - c); ++i) {
      keep[c + i] = static_cast<double>(UniformFloat(words[i])) >= rate;
    }
  }
}

}  // namespace

template <class T>
VarT<T> Sigmoid(TapeT<T>& tape, VarT<T> a) {
  VarT<T> y = tape.New(a->rows, a->cols, a->needs_grad);
  Vectors<T>().sigmoid(a->size(), a->value, y->value);
  tape.Record(y, [&tape, a, y] {
    const GradientSink<T> da = tape.Sink(a);
    Vectors<T>().sigmoid_backward(a->size(), y->value, y->grad, da.data, da.add);
  });
  return y;
}

template <class T>
VarT<T> Tanh(TapeT<T>& tape, VarT<T> a) {
  VarT<T> y = tape.New(a->rows, a->cols, a->needs_grad);
  Vectors<T>().tanh(a->size(), a->value, y->value);
  tape.Record(y, [&tape, a, y] {
    const GradientSink<T> da = tape.Sink(a);
    Vectors<T>().tanh_backward(a->size(), y->value, y->grad, da.data, da.add);
  });
  return y;
}

template <class T>
VarT<T> Relu(TapeT<T>& tape, VarT<T> a) {
  VarT<T> y = tape.New(a->rows, a->cols, a->needs_grad);
  for (int64_t i = 0; i < y->size(); ++i) y->value[i] = a->value[i] > 0 ? a->value[i] : T{0};
  tape.Record(y, [&tape, a, y] {
    Put(tape.Sink(a), a->size(), [=](int64_t i) { return a->value[i] > 0 ? y->grad[i] : T{0}; });
  });
  return y;
}

template <class T>
VarT<T> PRelu(TapeT<T>& tape, VarT<T> a, VarT<T> slope) {
  CHECK(slope->rows == 1 && slope->cols == a->cols);
  VarT<T> y = tape.New(a->rows, a->cols, a->needs_grad || slope->needs_grad);
  Vectors<T>().prelu(a->rows, a->cols, a->value, slope->value, y->value);
  tape.Record(y, [&tape, a, slope, y] {
    GradientSink<T> da{nullptr, false};
    T* dslope = nullptr;
    if (a->needs_grad) da = tape.Sink(a);
    if (slope->needs_grad) dslope = Accumulator(tape.Sink(slope), slope->size());
    Vectors<T>().prelu_backward(a->rows, a->cols, a->value, slope->value, y->grad, da.data, da.add,
                                dslope);
  });
  return y;
}

template <class T>
VarT<T> Dropout(TapeT<T>& tape, VarT<T> a, T rate, uint64_t seed) {
  CHECK(rate >= 0 && rate < 1) << rate;
  if (!tape.mode().training || rate == 0) return a;
  VarT<T> y = tape.New(a->rows, a->cols, a->needs_grad);
  auto* keep = tape.arena().template Allocate<uint8_t>(a->size());
  for (int64_t r = 0; r < a->rows; ++r) {
    DropoutMask(seed, tape.position(), r, a->cols, static_cast<double>(rate), keep + r * a->cols);
  }
  const T scale = T{1} / (T{1} - rate);
  for (int64_t i = 0; i < y->size(); ++i) y->value[i] = keep[i] ? scale * a->value[i] : T{0};
  tape.Record(y, [&tape, a, y, keep, scale] {
    Put(tape.Sink(a), a->size(), [=](int64_t i) { return keep[i] ? scale * y->grad[i] : T{0}; });
  });
  return y;
}

#define INSTANTIATE(T)                                 \
  template VarT<T> Sigmoid(TapeT<T>&, VarT<T>);        \
  template VarT<T> Tanh(TapeT<T>&, VarT<T>);           \
  template VarT<T> Relu(TapeT<T>&, VarT<T>);           \
  template VarT<T> PRelu(TapeT<T>&, VarT<T>, VarT<T>); \
  template VarT<T> Dropout(TapeT<T>&, VarT<T>, T, uint64_t);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace trestle
