// The primitives: enough to write a model from, each with its backward function. Where speed is decided
// there are coarse operators beside them (linear.h, attention.h), tested against these.
//
// Every operator exists for T = float and double. Shapes are in the comments; a violated shape is a
// CHECK. Sums run in row order, so a lane's result is a function of the lane alone.
// Source: MODELS formulas are cited in docs/models.md.
#pragma once

#include <span>

#include "backend/layers.pb.h"
#include "backend/tape.h"

namespace trestle {

template <class T> VarT<T> MatMul(TapeT<T>& tape, VarT<T> a, VarT<T> b);      // [m,k] x [k,n] -> [m,n]
template <class T> VarT<T> Add(TapeT<T>& tape, VarT<T> a, VarT<T> b);         // same shape, or b [1,n] / [m,1]
template <class T> VarT<T> Subtract(TapeT<T>& tape, VarT<T> a, VarT<T> b);    // as Add
template <class T> VarT<T> Multiply(TapeT<T>& tape, VarT<T> a, VarT<T> b);    // as Add, elementwise
template <class T> VarT<T> Scale(TapeT<T>& tape, VarT<T> a, T factor);
template <class T> VarT<T> ConcatColumns(TapeT<T>& tape, std::span<const VarT<T>> parts);
template <class T> VarT<T> SliceColumns(TapeT<T>& tape, VarT<T> a, int64_t begin, int64_t end);
template <class T> VarT<T> Reshape(TapeT<T>& tape, VarT<T> a, int64_t rows, int64_t cols);
template <class T> VarT<T> SumRows(TapeT<T>& tape, VarT<T> a);                // [m,n] -> [1,n]
template <class T> VarT<T> SumColumns(TapeT<T>& tape, VarT<T> a);             // [m,n] -> [m,1]

// Ragged: `offsets` must outlive the tape's lane.
template <class T> VarT<T> BroadcastToItems(TapeT<T>& tape, VarT<T> a, Offsets offsets);  // [b,n] -> [total,n]
template <class T> VarT<T> JaggedSum(TapeT<T>& tape, VarT<T> items, Offsets offsets);     // [total,n] -> [b,n]
// [total,n] -> [b,n]; a row without items gives zeros, and no gradient.
template <class T> VarT<T> JaggedPool(TapeT<T>& tape, VarT<T> items, Offsets offsets, Pooling pooling);
template <class T> VarT<T> JaggedSoftmax(TapeT<T>& tape, VarT<T> scores, Offsets offsets); // [total,1]

template <class T> VarT<T> Sigmoid(TapeT<T>& tape, VarT<T> a);
template <class T> VarT<T> Tanh(TapeT<T>& tape, VarT<T> a);
template <class T> VarT<T> Relu(TapeT<T>& tape, VarT<T> a);
template <class T> VarT<T> PRelu(TapeT<T>& tape, VarT<T> a, VarT<T> slope);   // slope [1,n]

// Dice: y = p x + (1-p) alpha x, p = sigmoid((x - mean) / sqrt(var + eps)), statistics over the rows of
// the lane in training (their gradient included), running ones in evaluation. alpha [1,n].
// Source: DIN paper, eq. 9. The lane's mean and unbiased variance go to the lane statistics.
struct NormStatistics {
  const FlatSlice* mean;
  const FlatSlice* variance;
};
template <class T> VarT<T> Dice(TapeT<T>& tape, VarT<T> a, VarT<T> alpha, NormStatistics statistics);
// Batch norm: gain [1,n], bias [1,n], eps 1e-5. Source: Ioffe and Szegedy 2015.
template <class T> VarT<T> BatchNorm(TapeT<T>& tape, VarT<T> a, VarT<T> gain, VarT<T> bias,
                                     NormStatistics statistics);

// Inverted dropout; identity when not training. The mask of (row, unit) is Philox of (seed, step, lane,
// row, unit): the same wherever the lane runs.
template <class T> VarT<T> Dropout(TapeT<T>& tape, VarT<T> a, T rate, uint64_t seed);

}  // namespace trestle
