// The statistics that Dice and batch norm normalize with: of the lane's rows in training, the
// running ones otherwise. Shared by their operators. Thread safety: as the tape's.
#pragma once

#include "backend/ops.h"
#include "backend/tape.h"

namespace trestle {

inline constexpr double kDiceEpsilon = 1e-8;       // DIN paper
inline constexpr double kBatchNormEpsilon = 1e-5;  // PyTorch's default

template <class T>
struct Normalization {
  const T* mean = nullptr;  // [cols], in the tape's arena
  const T* istd = nullptr;  // 1 / sqrt(variance + epsilon)
  bool frozen = false;      // running statistics: constants to the gradient
};

// In training, of `a`'s rows, which are also written to the lane's statistics (variance unbiased;
// of one row its zero). Of 0 rows nothing is written.
template <class T>
Normalization<T> Normalize(TapeT<T>& tape, VarT<T> a, NormStatistics statistics, double epsilon);

// Sums over rows become the means that the gradient through the statistics subtracts: 0 if frozen.
template <class T>
void ToSubtractedMeans(bool frozen, int64_t rows, int64_t cols, T* sums);

}  // namespace trestle
