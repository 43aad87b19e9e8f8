#include "backend/attention.h"

#include <glog/logging.h>

#include <algorithm>

#include "backend/gemm.h"
#include "backend/vector_math.h"

namespace trestle {
namespace {

void CheckOffsets(Offsets offsets, int64_t rows, int64_t items) {
  CHECK_EQ(static_cast<int64_t>(offsets.size()), rows + 1);
  CHECK_EQ(offsets[0], 0);
  CHECK_EQ(offsets[rows], items);
}

}  // namespace

template <class T>
VarT<T> AttentionInput(TapeT<T>& tape, VarT<T> target, VarT<T> history, Offsets offsets,
                       VarT<T> weight, VarT<T> bias) {
  const int64_t b = target->rows, d = target->cols, total = history->rows, a = weight->cols;
  CHECK_EQ(history->cols, d);
  CHECK_EQ(weight->rows, 4 * d);
  CHECK(bias->rows == 1 && bias->cols == a);
  CheckOffsets(offsets, b, total);
  VarT<T> z =
      tape.New(total, a,
               target->needs_grad || history->needs_grad || weight->needs_grad || bias->needs_grad);
  Arena& arena = tape.arena();
  const int64_t block = d * a;
  T* target_weight = arena.Allocate<T>(block);   // Wt + Wd
  T* history_weight = arena.Allocate<T>(block);  // Wh - Wd
  const T* product_weight = weight->value + 3 * block;
  for (int64_t i = 0; i < block; ++i) {
    target_weight[i] = weight->value[i] + weight->value[2 * block + i];
    history_weight[i] = weight->value[block + i] - weight->value[2 * block + i];
  }
  T* constant = arena.Allocate<T>(b * a);
  for (int64_t i = 0; i < b; ++i) std::copy_n(bias->value, a, constant + i * a);
  Gemm<T>(false, false, b, a, d, target->value, target_weight, constant, T{1});
  T* folded = arena.Allocate<T>(block);
  const VectorMath<T>* kernels = &Vectors<T>();
  for (int64_t i = 0; i < b; ++i) {
    const int64_t first = offsets[i], items = offsets[i + 1] - first;
    if (items == 0) continue;
    kernels->add_scaled_rows(d, a, history_weight, target->value + i * d, product_weight, folded);
    for (int64_t j = 0; j < items; ++j)
      std::copy_n(constant + i * a, a, z->value + (first + j) * a);
    Gemm<T>(false, false, items, a, d, history->value + first * d, folded, z->value + first * a,
            T{1});
  }
  tape.Record(z, [=, &tape] {
    Arena& scratch = tape.arena();
    T* row_dz = scratch.Allocate<T>(b * a);  // sum over a history's items of dz
    T* dm = scratch.Allocate<T>(block);
    T* d_history_weight = scratch.Allocate<T>(block);
    T* d_product_weight = scratch.Allocate<T>(block);
    T* d_target_weight = scratch.Allocate<T>(block);
    T* product_dt = scratch.Allocate<T>(b * d);
    std::fill_n(row_dz, b * a, T{0});
    std::fill_n(d_history_weight, block, T{0});
    std::fill_n(d_product_weight, block, T{0});
    std::fill_n(product_dt, b * d, T{0});
    GradientSink<T> dh{nullptr, false};
    if (history->needs_grad) dh = tape.Sink(history);
    for (int64_t i = 0; i < b; ++i) {
      const int64_t first = offsets[i], items = offsets[i + 1] - first;
      if (items == 0) continue;
      const T* t = target->value + i * d;
      const T* dz = z->grad + first * a;
      kernels->add_rows(items, a, dz, row_dz + i * a);
      if (dh.data) {
        kernels->add_scaled_rows(d, a, history_weight, t, product_weight, folded);
        Gemm<T>(false, true, items, d, a, dz, folded, dh.data + first * d, dh.add);
      }
      Gemm<T>(true, false, d, a, items, history->value + first * d, dz, dm, T{0});
      for (int64_t x = 0; x < block; ++x) d_history_weight[x] += dm[x];
      for (int64_t r = 0; r < d; ++r) {
        kernels->weighted_rows(1, a, dm + r * a, t + r, d_product_weight + r * a, true);
        kernels->dot_rows(1, a, dm + r * a, product_weight + r * a, product_dt + i * d + r, false);
      }
    }
    if (target->needs_grad) {
      const GradientSink<T> dt = tape.Sink(target);
      if (!dt.add) std::fill_n(dt.data, b * d, T{0});
      for (int64_t x = 0; x < b * d; ++x) dt.data[x] += product_dt[x];
      Gemm<T>(false, true, b, d, a, row_dz, target_weight, dt.data, T{1});
    }
    if (weight->needs_grad) {
      Gemm<T>(true, false, d, a, b, target->value, row_dz, d_target_weight, T{0});
      const GradientSink<T> dw = tape.Sink(weight);
      if (!dw.add) std::fill_n(dw.data, 4 * block, T{0});
      for (int64_t x = 0; x < block; ++x) {
        dw.data[x] += d_target_weight[x];
        dw.data[block + x] += d_history_weight[x];
        dw.data[2 * block + x] += d_target_weight[x] - d_history_weight[x];
        dw.data[3 * block + x] += d_product_weight[x];
      }
    }
    if (bias->needs_grad) {
      const GradientSink<T> db = tape.Sink(bias);
      if (!db.add) std::fill_n(db.data, a, T{0});
      kernels->add_rows(b, a, row_dz, db.data);
    }
  });
  return z;
}

template <class T>
VarT<T> JaggedWeightedSum(TapeT<T>& tape, VarT<T> history, VarT<T> weights, Offsets offsets) {
  const int64_t b = static_cast<int64_t>(offsets.size()) - 1, d = history->cols;
  CHECK(weights->cols == 1 && weights->rows == history->rows);
  CheckOffsets(offsets, b, history->rows);
  VarT<T> sum = tape.New(b, d, history->needs_grad || weights->needs_grad);
  const VectorMath<T>* kernels = &Vectors<T>();
  for (int64_t i = 0; i < b; ++i) {
    const int64_t first = offsets[i], items = offsets[i + 1] - first;
    kernels->weighted_rows(items, d, history->value + first * d, weights->value + first,
                           sum->value + i * d, false);
  }
  tape.Record(sum, [=, &tape] {
    GradientSink<T> dh{nullptr, false}, dw{nullptr, false};
    if (history->needs_grad) dh = tape.Sink(history);
    if (weights->needs_grad) dw = tape.Sink(weights);
    for (int64_t i = 0; i < b; ++i) {
      const int64_t first = offsets[i], items = offsets[i + 1] - first;
      const T* ds = sum->grad + i * d;
      if (dh.data)
        kernels->outer(items, d, weights->value + first, ds, dh.data + first * d, dh.add);
      if (dw.data)
        kernels->dot_rows(items, d, history->value + first * d, ds, dw.data + first, dw.add);
    }
  });
  return sum;
}

template Var AttentionInput(Tape&, Var, Var, Offsets, Var, Var);
template VarT<double> AttentionInput(TapeT<double>&, VarT<double>, VarT<double>, Offsets,
                                     VarT<double>, VarT<double>);
template Var JaggedWeightedSum(Tape&, Var, Var, Offsets);
template VarT<double> JaggedWeightedSum(TapeT<double>&, VarT<double>, VarT<double>, Offsets);

}  // namespace trestle
