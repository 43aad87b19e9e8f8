#include "backend/attention.h"

#include <glog/logging.h>

#include <algorithm>

#include "backend/gemm.h"
#include "backend/ops_internal.h"
#include "backend/vector_math.h"

namespace trestle {
namespace {

void CheckOffsets(Offsets offsets, int64_t rows, int64_t items) {
  CHECK_EQ(static_cast<int64_t>(offsets.size()), rows + 1);
  CHECK_EQ(offsets[0], 0);
  CHECK_EQ(offsets[rows], items);
}

// One application of the unit's first layer: operands, and what the forward pass shares with the
// backward one. A sample's M_b is cheaper to make again (d a FMAs, 1/30 of its use) than to keep.
template <class T>
struct FoldedLayer {
  VarT<T> target, history, weight, bias, z;
  Offsets offsets;
  int64_t rows, d, a;
  T* target_weight;   // Wt + Wd
  T* history_weight;  // Wh - Wd

  int64_t block() const { return d * a; }
  const T* product_weight() const { return weight->value + 3 * block(); }
  int64_t first(int64_t row) const { return offsets[row]; }
  int64_t items(int64_t row) const { return offsets[row + 1] - offsets[row]; }
  const T* target_row(int64_t row) const { return target->value + row * d; }
};

// Wt, Wh, Wd are the first three blocks of the weight.
template <class T>
void FoldWeights(FoldedLayer<T>& layer) {
  const int64_t n = layer.block();
  const T* w = layer.weight->value;
  for (int64_t i = 0; i < n; ++i) {
    layer.target_weight[i] = w[i] + w[2 * n + i];
    layer.history_weight[i] = w[n + i] - w[2 * n + i];
  }
}

template <class T>
void Forward(const FoldedLayer<T>& layer, Arena& arena) {
  const int64_t d = layer.d, a = layer.a;
  T* constant = arena.Allocate<T>(layer.rows * a);
  const VectorMath<T>& v = Vectors<T>();
  v.fill_rows(layer.rows, a, layer.bias->value, constant);
  Gemm<T>(false, false, layer.rows, a, d, layer.target->value, layer.target_weight, constant, T{1});
  T* folded = arena.Allocate<T>(layer.block());
  RaggedGemm<T> gemm(false, a, d, T{1});
  for (int64_t b = 0; b < layer.rows; ++b) {
    const int64_t items = layer.items(b);
    T* z = layer.z->value + layer.first(b) * a;
    v.fold(d, a, layer.history_weight, layer.target_row(b), layer.product_weight(), folded);
    v.fill_rows(items, a, constant + b * a, z);
    gemm(items, layer.history->value + layer.first(b) * d, folded, z);
  }
}

// dh_b = dZ_b M_b^T, with M_b^T folded from transposed blocks.
template <class T>
class ToHistory {
 public:
  ToHistory(const FoldedLayer<T>& layer, GradientSink<T> dh, Arena& arena)
      : layer_(layer),
        dh_(dh),
        history_weight_(arena.Allocate<T>(layer.block())),
        product_weight_(arena.Allocate<T>(layer.block())),
        folded_(arena.Allocate<T>(layer.block())),
        gemm_(false, layer.d, layer.a, dh.add ? T{1} : T{0}) {
    for (int64_t r = 0; r < layer.d; ++r) {
      for (int64_t c = 0; c < layer.a; ++c) {
        history_weight_[c * layer.d + r] = layer.history_weight[r * layer.a + c];
        product_weight_[c * layer.d + r] = layer.product_weight()[r * layer.a + c];
      }
    }
  }
  void Row(int64_t b, const T* dz) {
    Vectors<T>().fold_transposed(layer_.a, layer_.d, history_weight_, layer_.target_row(b),
                                 product_weight_, folded_);
    gemm_(layer_.items(b), dz, folded_, dh_.data + layer_.first(b) * layer_.d);
  }

 private:
  const FoldedLayer<T>& layer_;
  GradientSink<T> dh_;
  T* history_weight_;
  T* product_weight_;
  T* folded_;
  RaggedGemm<T> gemm_;
};

// What the samples' matrices and constants receive, summed over samples or by row.
template <class T>
class ToFolded {
 public:
  ToFolded(const FoldedLayer<T>& layer, Arena& arena)
      : history_weight(Zeros<T>(arena, layer.block())),
        product_weight(Zeros<T>(arena, layer.block())),
        target(Zeros<T>(arena, layer.rows * layer.d)),
        constant(Zeros<T>(arena, layer.rows * layer.a)),
        layer_(layer),
        dm_(arena.Allocate<T>(layer.block())),
        gemm_(true, layer.a, layer.d, T{0}) {}
  void Row(int64_t b, const T* dz) {
    const int64_t d = layer_.d, a = layer_.a;
    const VectorMath<T>& v = Vectors<T>();
    v.add_rows(layer_.items(b), a, dz, constant + b * a);
    gemm_(layer_.items(b), layer_.history->value + layer_.first(b) * d, dz, dm_);
    v.fold_backward(d, a, dm_, layer_.target_row(b), layer_.product_weight(), history_weight,
                    product_weight, target + b * d);
  }

  T* history_weight;  // sum of dM_b
  T* product_weight;  // sum of diag(t_b) dM_b
  T* target;          // [rows, d]: row sums of dM_b * Wp, what reaches t through M_b
  T* constant;        // [rows, a]: sum over a sample's items of dz

 private:
  const FoldedLayer<T>& layer_;
  T* dm_;
  RaggedGemm<T> gemm_;
};

template <class T>
void Backward(const FoldedLayer<T>& layer, TapeT<T>& tape) {
  const int64_t n = layer.block(), rows = layer.rows, d = layer.d, a = layer.a;
  const bool to_history = layer.history->needs_grad;
  GradientSink<T> dh{nullptr, false};
  if (to_history) dh = tape.Sink(layer.history);
  ToHistory<T> history(layer, dh, tape.arena());
  ToFolded<T> g(layer, tape.arena());
  for (int64_t b = 0; b < rows; ++b) {
    if (layer.items(b) == 0) continue;
    const T* dz = layer.z->grad + layer.first(b) * a;  // in the first cache while both read it
    if (to_history) history.Row(b, dz);
    g.Row(b, dz);
  }
  if (layer.target->needs_grad) {
    const GradientSink<T> dt = tape.Sink(layer.target);
    Put(dt, rows * d, [&](int64_t i) { return g.target[i]; });
    Gemm<T>(false, true, rows, d, a, g.constant, layer.target_weight, dt.data, T{1});
  }
  if (layer.weight->needs_grad) {
    T* target_weight = tape.arena().template Allocate<T>(n);
    Gemm<T>(true, false, d, a, rows, layer.target->value, g.constant, target_weight, T{0});
    T* dw = Accumulator(tape.Sink(layer.weight), 4 * n);
    for (int64_t i = 0; i < n; ++i) {
      dw[i] += target_weight[i];
      dw[n + i] += g.history_weight[i];
      dw[2 * n + i] += target_weight[i] - g.history_weight[i];
      dw[3 * n + i] += g.product_weight[i];
    }
  }
  if (layer.bias->needs_grad) {
    Vectors<T>().add_rows(rows, a, g.constant, Accumulator(tape.Sink(layer.bias), a));
  }
}

}  // namespace

template <class T>
VarT<T> AttentionInput(TapeT<T>& tape, VarT<T> target, VarT<T> history, Offsets offsets,
                       VarT<T> weight, VarT<T> bias) {
  const int64_t rows = target->rows, d = target->cols, a = weight->cols;
  CHECK_EQ(history->cols, d);
  CHECK_EQ(weight->rows, 4 * d);
  CHECK(bias->rows == 1 && bias->cols == a);
  CheckOffsets(offsets, rows, history->rows);
  const bool needs_grad =
      target->needs_grad || history->needs_grad || weight->needs_grad || bias->needs_grad;
  FoldedLayer<T> layer{target,  history, weight, bias, tape.New(history->rows, a, needs_grad),
                       offsets, rows,    d,      a,    nullptr,
                       nullptr};
  layer.target_weight = tape.arena().template Allocate<T>(layer.block());
  layer.history_weight = tape.arena().template Allocate<T>(layer.block());
  FoldWeights(layer);
  Forward(layer, tape.arena());
  tape.Record(layer.z, [layer, &tape] { Backward(layer, tape); });
  return layer.z;
}

template <class T>
VarT<T> JaggedWeightedSum(TapeT<T>& tape, VarT<T> history, VarT<T> weights, Offsets offsets) {
  const int64_t rows = static_cast<int64_t>(offsets.size()) - 1, d = history->cols;
  CHECK(weights->cols == 1 && weights->rows == history->rows);
  CheckOffsets(offsets, rows, history->rows);
  VarT<T> sum = tape.New(rows, d, history->needs_grad || weights->needs_grad);
  for (int64_t b = 0; b < rows; ++b) {
    const int64_t first = offsets[b], items = offsets[b + 1] - first;
    Vectors<T>().weighted_rows(items, d, history->value + first * d, weights->value + first,
                               sum->value + b * d, false);
  }
  tape.Record(sum, [history, weights, offsets, sum, rows, d, &tape] {
    const VectorMath<T>& v = Vectors<T>();
    GradientSink<T> dh{nullptr, false}, dw{nullptr, false};
    if (history->needs_grad) dh = tape.Sink(history);
    if (weights->needs_grad) dw = tape.Sink(weights);
    for (int64_t b = 0; b < rows; ++b) {
      const int64_t first = offsets[b], items = offsets[b + 1] - first;
      const T* ds = sum->grad + b * d;
      if (dh.data) v.outer(items, d, weights->value + first, ds, dh.data + first * d, dh.add);
      if (dw.data) v.dot_rows(items, d, history->value + first * d, ds, dw.data + first, dw.add);
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
