// Operators with batch statistics: Dice and batch norm.
#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "backend/ops.h"
#include "backend/ops_internal.h"
#include "backend/vector_math.h"

namespace trestle {
namespace {

constexpr double kDiceEpsilon = 1e-8;       // DIN paper
constexpr double kBatchNormEpsilon = 1e-5;  // PyTorch's default

// What one normalization of a lane uses. `frozen`: running statistics, constants to the gradient.
template <class T>
struct Normalization {
  const T* mean;
  const T* istd;
  bool frozen;
};

// Writes the lane's mean and unbiased variance; of one row: its (zero) biased variance.
template <class T>
void WriteLaneStatistics(TapeT<T>& tape, NormStatistics statistics, int64_t rows, int64_t cols,
                         const T* mean, const T* variance) {
  const T unbiased = rows > 1 ? static_cast<T>(rows) / static_cast<T>(rows - 1) : T{1};
  std::copy_n(mean, cols, tape.LaneStatistic(*statistics.mean).data());
  T* out = tape.LaneStatistic(*statistics.variance).data();
  for (int64_t c = 0; c < cols; ++c) out[c] = unbiased * variance[c];
}

template <class T>
Normalization<T> Normalize(TapeT<T>& tape, VarT<T> a, NormStatistics statistics, double epsilon) {
  const int64_t cols = a->cols;
  CHECK_EQ(statistics.mean->size(), cols);
  CHECK_EQ(statistics.variance->size(), cols);
  T* mean = tape.arena().template Allocate<T>(cols);
  T* istd = tape.arena().template Allocate<T>(cols);
  const bool frozen = !tape.mode().training;
  if (frozen) {
    std::copy_n(tape.Statistic(*statistics.mean).data(), cols, mean);
    std::copy_n(tape.Statistic(*statistics.variance).data(), cols, istd);
  } else if (a->rows > 0) {
    Vectors<T>().moments(a->rows, cols, a->value, mean, istd);
    WriteLaneStatistics(tape, statistics, a->rows, cols, mean, istd);
  } else {
    std::fill_n(mean, cols, T{0});
    std::fill_n(istd, cols, T{1});
  }
  for (int64_t c = 0; c < cols; ++c) istd[c] = T{1} / std::sqrt(istd[c] + static_cast<T>(epsilon));
  return {mean, istd, frozen};
}

template <class T>
T* Zeros(TapeT<T>& tape, int64_t n) {
  T* zeros = tape.arena().template Allocate<T>(n);
  std::fill_n(zeros, n, T{0});
  return zeros;
}

// The means over rows that the gradient through the statistics subtracts: zero if they are frozen.
template <class T>
void MeansOfSums(bool frozen, int64_t rows, int64_t cols, T* sums) {
  for (int64_t c = 0; c < cols; ++c) {
    sums[c] = frozen || rows == 0 ? T{0} : sums[c] / static_cast<T>(rows);
  }
}

}  // namespace

template <class T>
VarT<T> Dice(TapeT<T>& tape, VarT<T> a, VarT<T> alpha, NormStatistics statistics) {
  CHECK(alpha->rows == 1 && alpha->cols == a->cols);
  const int64_t rows = a->rows, cols = a->cols;
  VarT<T> y = tape.New(rows, cols, a->needs_grad || alpha->needs_grad);
  T* gate = tape.arena().template Allocate<T>(rows * cols);
  const Normalization<T> norm = Normalize(tape, a, statistics, kDiceEpsilon);
  Vectors<T>().dice(rows, cols, a->value, alpha->value, norm.mean, norm.istd, gate, y->value);
  tape.Record(y, [&tape, a, alpha, y, gate, norm, rows, cols] {
    T* dalpha = alpha->needs_grad ? Accumulator(tape.Sink(alpha), cols) : Zeros(tape, cols);
    T* dxh = Zeros(tape, cols);
    T* dxh_xh = Zeros(tape, cols);
    const VectorMath<T>& v = Vectors<T>();
    v.dice_sums(rows, cols, a->value, alpha->value, norm.mean, norm.istd, gate, y->grad, dalpha,
                dxh, dxh_xh);
    if (!a->needs_grad) return;
    MeansOfSums(norm.frozen, rows, cols, dxh);
    MeansOfSums(norm.frozen, rows, cols, dxh_xh);
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
    T* dy_sum = Zeros(tape, cols);
    T* dy_xh_sum = Zeros(tape, cols);
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
    MeansOfSums(norm.frozen, rows, cols, dy_sum);
    MeansOfSums(norm.frozen, rows, cols, dy_xh_sum);
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
