// Operators with batch statistics: Dice and batch norm.
#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "backend/normalization.h"
#include "backend/ops.h"
#include "backend/ops_internal.h"
#include "backend/vector_math.h"

namespace trestle {
template <class T>
VarT<T> Dice(TapeT<T>& tape, VarT<T> a, VarT<T> alpha, NormStatistics statistics) {
  CHECK(alpha->rows == 1 && alpha->cols == a->cols);
  const int64_t rows = a->rows, cols = a->cols;
  VarT<T> y = tape.New(rows, cols, a->needs_grad || alpha->needs_grad);
  T* gate = tape.arena().template Allocate<T>(rows * cols);
  const Normalization<T> norm = Normalize(tape, a, statistics, kDiceEpsilon);
  Vectors<T>().dice(rows, cols, a->value, alpha->value, norm.mean, norm.istd, gate, y->value);
  tape.Record(y, [&tape, a, alpha, y, gate, norm, rows, cols] {
    T* dalpha =
        alpha->needs_grad ? Accumulator(tape.Sink(alpha), cols) : Zeros<T>(tape.arena(), cols);
    T* dxh = Zeros<T>(tape.arena(), cols);
    T* dxh_xh = Zeros<T>(tape.arena(), cols);
    const VectorMath<T>& v = Vectors<T>();
    v.dice_sums(rows, cols, a->value, alpha->value, norm.mean, norm.istd, gate, y->grad, dalpha,
                dxh, dxh_xh);
    if (!a->needs_grad) return;
    ToSubtractedMeans(norm.frozen, rows, cols, dxh);
    ToSubtractedMeans(norm.frozen, rows, cols, dxh_xh);
    const GradientSink<T> da = tape.Sink(a);
    v.dice_backward(rows, cols, a->value, alpha->value, norm.mean, norm.istd, gate, y->grad, dxh,
                    dxh_xh, da.data, da.add);
  });
  return y;
}

template <class T>
VarT<T> BatchNorm(TapeT<T>& tape, VarT<T> a, VarT<T> gain, VarT<T> bias,
                  NormStatistics statistics) {
  CHECK(gain->rows == 1 && gain->cols == a->cols);
  CHECK(bias->rows == 1 && bias->cols == a->cols);
  const int64_t rows = a->rows, cols = a->cols;
  VarT<T> y = tape.New(rows, cols, a->needs_grad || gain->needs_grad || bias->needs_grad);
  const Normalization<T> norm = Normalize(tape, a, statistics, kBatchNormEpsilon);
  for (int64_t r = 0; r < rows; ++r) {
    const T* x = a->value + r * cols;
    for (int64_t c = 0; c < cols; ++c) {
      const T xh = (x[c] - norm.mean[c]) * norm.istd[c];
      y->value[r * cols + c] = std::fma(gain->value[c], xh, bias->value[c]);
    }
  }
  tape.Record(y, [&tape, a, gain, bias, y, norm, rows, cols] {
    T* dy_sum = Zeros<T>(tape.arena(), cols);
    T* dy_xh_sum = Zeros<T>(tape.arena(), cols);
    for (int64_t r = 0; r < rows; ++r) {
      const T* x = a->value + r * cols;
      const T* dy = y->grad + r * cols;
      for (int64_t c = 0; c < cols; ++c) {
        dy_sum[c] += dy[c];
        dy_xh_sum[c] += dy[c] * ((x[c] - norm.mean[c]) * norm.istd[c]);
      }
    }
    if (bias->needs_grad) Put(tape.Sink(bias), cols, [=](int64_t c) { return dy_sum[c]; });
    if (gain->needs_grad) Put(tape.Sink(gain), cols, [=](int64_t c) { return dy_xh_sum[c]; });
    if (!a->needs_grad) return;
    ToSubtractedMeans(norm.frozen, rows, cols, dy_sum);
    ToSubtractedMeans(norm.frozen, rows, cols, dy_xh_sum);
    const GradientSink<T> da = tape.Sink(a);
    for (int64_t r = 0; r < rows; ++r) {
      const T* x = a->value + r * cols;
      const T* dy = y->grad + r * cols;
      Put(GradientSink<T>{da.data + r * cols, da.add}, cols, [=](int64_t c) {
        const T xh = (x[c] - norm.mean[c]) * norm.istd[c];
        return gain->value[c] * norm.istd[c] * (dy[c] - dy_sum[c] - xh * dy_xh_sum[c]);
      });
    }
  });
  return y;
}

#define INSTANTIATE(T)                                                \
  template VarT<T> Dice(TapeT<T>&, VarT<T>, VarT<T>, NormStatistics); \
  template VarT<T> BatchNorm(TapeT<T>&, VarT<T>, VarT<T>, VarT<T>, NormStatistics);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace trestle
