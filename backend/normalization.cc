#include "backend/normalization.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "backend/vector_math.h"

namespace trestle {
namespace {

// Writes the lane's mean and unbiased variance; of one row: its (zero) biased variance.
template <class T>
void WriteLaneStatistics(TapeT<T>& tape, NormStatistics statistics, int64_t rows, int64_t cols,
                         const T* mean, const T* variance) {
  const T unbiased = rows > 1 ? static_cast<T>(rows) / static_cast<T>(rows - 1) : T{1};
  std::copy_n(mean, cols, tape.LaneStatistic(*statistics.mean).data());
  T* out = tape.LaneStatistic(*statistics.variance).data();
  for (int64_t c = 0; c < cols; ++c) out[c] = unbiased * variance[c];
}

}  // namespace

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
void ToSubtractedMeans(bool frozen, int64_t rows, int64_t cols, T* sums) {
  for (int64_t c = 0; c < cols; ++c) {
    sums[c] = frozen || rows == 0 ? T{0} : sums[c] / static_cast<T>(rows);
  }
}

#define INSTANTIATE(T)                                                             \
  template Normalization<T> Normalize(TapeT<T>&, VarT<T>, NormStatistics, double); \
  template void ToSubtractedMeans(bool, int64_t, int64_t, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace trestle
