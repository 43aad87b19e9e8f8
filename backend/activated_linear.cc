#include "backend/activated_linear.h"

#include <glog/logging.h>

#include <algorithm>

#include "backend/gemm.h"
#include "backend/normalization.h"
#include "backend/ops_internal.h"
#include "backend/vector_math.h"

namespace trestle {
namespace {

template <class T>
using Kind = typename RowActivation<T>::Kind;

// 64 rows of 80 floats are 20 KB. Layers wider than the small kernels go in one piece, to oneDNN.
constexpr int64_t kTileRows = 64;
constexpr int64_t kTileWidth = 128;

template <class T>
struct Layer {
  VarT<T> z, weight, bias, y;
  RowActivation<T> activation;
  const T* slope;         // PRelu, Relu
  Normalization<T> norm;  // Dice
  T* kept;                // [m,k] sigmoid, tanh: f(z); Dice: its gate; else null
  T* scratch;             // [tile, k]
  int64_t m, k, n, tile;
};

template <class T>
bool KeepsOutput(const Layer<T>& layer) {
  return layer.activation.kind == Kind<T>::kSigmoid || layer.activation.kind == Kind<T>::kTanh;
}

// f(z) of rows [first, first + rows), in the forward pass.
template <class T>
const T* Activate(const Layer<T>& layer, int64_t first, int64_t rows) {
  const VectorMath<T>& v = Vectors<T>();
  const int64_t at = first * layer.k, size = rows * layer.k;
  const T* z = layer.z->value + at;
  switch (layer.activation.kind) {
    case Kind<T>::kSigmoid:
      v.sigmoid(size, z, layer.kept + at);
      return layer.kept + at;
    case Kind<T>::kTanh:
      v.tanh(size, z, layer.kept + at);
      return layer.kept + at;
    case Kind<T>::kRelu:
    case Kind<T>::kPRelu:
      v.prelu(rows, layer.k, z, layer.slope, layer.scratch);
      return layer.scratch;
    case Kind<T>::kDice:
      v.dice(rows, layer.k, z, layer.activation.parameter->value, layer.norm.mean, layer.norm.istd,
             layer.kept + at, layer.scratch);
      return layer.scratch;
  }
  LOG(FATAL) << "unknown activation";
}

// The same rows in the backward pass, from what was kept.
template <class T>
const T* ActivateAgain(const Layer<T>& layer, int64_t first, int64_t rows) {
  const int64_t at = first * layer.k;
  if (KeepsOutput(layer)) return layer.kept + at;
  if (layer.activation.kind != Kind<T>::kDice) return Activate(layer, first, rows);
  Vectors<T>().dice_again(rows, layer.k, layer.z->value + at, layer.activation.parameter->value,
                          layer.kept + at, layer.scratch);
  return layer.scratch;
}

// Through f: from da, the gradient of f(z), of a tile to dz and the parameter of f.
template <class T>
class ToInput {
 public:
  ToInput(const Layer<T>& layer, TapeT<T>& tape) : layer_(layer) {
    if (layer.z->needs_grad) dz_ = tape.Sink(layer.z);
    VarT<T> parameter = layer.activation.parameter;
    const bool dice = layer.activation.kind == Kind<T>::kDice;
    if (parameter && parameter->needs_grad) {
      dparameter_ = Accumulator(tape.Sink(parameter), layer.k);
    } else if (dice) {
      dparameter_ = Zeros<T>(tape.arena(), layer.k);
    }
    if (dice) {
      sums_ = Zeros<T>(tape.arena(), 2 * layer.k);
      da_ = tape.arena().template Allocate<T>(layer.m * layer.k);
    } else {
      da_ = tape.arena().template Allocate<T>(layer.tile * layer.k);
    }
  }

  // Where the tile's da is to be written.
  T* da(int64_t first) { return sums_ ? da_ + first * layer_.k : da_; }

  void Tile(int64_t first, int64_t rows) {
    const VectorMath<T>& v = Vectors<T>();
    const int64_t at = first * layer_.k, size = rows * layer_.k;
    const T* z = layer_.z->value + at;
    T* dz = dz_.data ? dz_.data + at : nullptr;
    switch (layer_.activation.kind) {
      case Kind<T>::kSigmoid:
        return v.sigmoid_backward(size, layer_.kept + at, da_, dz, dz_.add);
      case Kind<T>::kTanh:
        return v.tanh_backward(size, layer_.kept + at, da_, dz, dz_.add);
      case Kind<T>::kRelu:
      case Kind<T>::kPRelu:
        return v.prelu_backward(rows, layer_.k, z, layer_.slope, da_, dz, dz_.add, dparameter_);
      case Kind<T>::kDice:
        return v.dice_sums(rows, layer_.k, z, layer_.activation.parameter->value, layer_.norm.mean,
                           layer_.norm.istd, layer_.kept + at, da_ + at, dparameter_, sums_,
                           sums_ + layer_.k);
    }
  }

  // After all tiles: Dice's gradient needs the sums over all rows first.
  void Finish() {
    if (sums_ == nullptr || dz_.data == nullptr) return;
    ToSubtractedMeans(layer_.norm.frozen, layer_.m, 2 * layer_.k, sums_);
    Vectors<T>().dice_backward(
        layer_.m, layer_.k, layer_.z->value, layer_.activation.parameter->value, layer_.norm.mean,
        layer_.norm.istd, layer_.kept, da_, sums_, sums_ + layer_.k, dz_.data, dz_.add);
  }

 private:
  const Layer<T>& layer_;
  GradientSink<T> dz_{nullptr, false};
  T* dparameter_ = nullptr;
  T* sums_ = nullptr;  // Dice
  T* da_ = nullptr;    // of a tile; Dice: of all rows
};

template <class T>
void Forward(const Layer<T>& layer) {
  RaggedGemm<T> gemm(false, layer.n, layer.k, T{1});
  for (int64_t first = 0; first < layer.m; first += layer.tile) {
    const int64_t rows = std::min(layer.tile, layer.m - first);
    T* y = layer.y->value + first * layer.n;
    Vectors<T>().fill_rows(rows, layer.n, layer.bias->value, y);
    gemm(rows, Activate(layer, first, rows), layer.weight->value, y);
  }
}

// W^T for tiles, whose kernels cannot transpose; null for a single piece.
template <class T>
T* TransposedWeight(const Layer<T>& layer, Arena& arena) {
  if (layer.tile == layer.m) return nullptr;
  T* transposed = arena.Allocate<T>(layer.k * layer.n);
  for (int64_t r = 0; r < layer.k; ++r) {
    for (int64_t c = 0; c < layer.n; ++c) {
      transposed[c * layer.k + r] = layer.weight->value[r * layer.n + c];
    }
  }
  return transposed;
}

template <class T>
void Backward(const Layer<T>& layer, TapeT<T>& tape) {
  const int64_t m = layer.m, k = layer.k, n = layer.n;
  T* dw = nullptr;
  T* db = nullptr;
  if (layer.weight->needs_grad) dw = Accumulator(tape.Sink(layer.weight), k * n);
  if (layer.bias->needs_grad) db = Accumulator(tape.Sink(layer.bias), n);
  const bool to_input =
      layer.z->needs_grad || (layer.activation.parameter && layer.activation.parameter->needs_grad);
  ToInput<T> input(layer, tape);
  const T* transposed = TransposedWeight(layer, tape.arena());
  RaggedGemm<T> to_weight(true, n, k, T{1}), to_activated(false, k, n, T{0});
  for (int64_t first = 0; first < m; first += layer.tile) {
    const int64_t rows = std::min(layer.tile, m - first);
    const T* dy = layer.y->grad + first * n;
    if (db) Vectors<T>().add_rows(rows, n, dy, db);
    if (dw) to_weight(rows, ActivateAgain(layer, first, rows), dy, dw);
    if (!to_input) continue;
    if (transposed) {
      to_activated(rows, dy, transposed, input.da(first));
    } else {
      Gemm<T>(false, true, rows, k, n, dy, layer.weight->value, input.da(first), T{0});
    }
    input.Tile(first, rows);
  }
  if (to_input) input.Finish();
}

template <class T>
void CheckShapes(VarT<T> z, const RowActivation<T>& activation, VarT<T> weight, VarT<T> bias) {
  CHECK_EQ(z->cols, weight->rows);
  CHECK(bias->rows == 1 && bias->cols == weight->cols);
  const bool parametric = activation.kind == Kind<T>::kPRelu || activation.kind == Kind<T>::kDice;
  CHECK_EQ(parametric, activation.parameter != nullptr);
  if (parametric) CHECK(activation.parameter->rows == 1 && activation.parameter->cols == z->cols);
}

}  // namespace

template <class T>
VarT<T> ActivatedLinear(TapeT<T>& tape, VarT<T> z, const RowActivation<T>& activation,
                        VarT<T> weight, VarT<T> bias) {
  CheckShapes(z, activation, weight, bias);
  Layer<T> layer{};
  layer.z = z;
  layer.weight = weight;
  layer.bias = bias;
  layer.activation = activation;
  layer.m = z->rows;
  layer.k = z->cols;
  layer.n = weight->cols;
  const bool tiled = std::max(layer.k, layer.n) <= kTileWidth && layer.m > kTileRows;
  layer.tile = tiled ? kTileRows : std::max<int64_t>(1, layer.m);
  const bool needs_grad = z->needs_grad || weight->needs_grad || bias->needs_grad ||
                          (activation.parameter && activation.parameter->needs_grad);
  layer.y = tape.New(layer.m, layer.n, needs_grad);
  Arena& arena = tape.arena();
  if (activation.kind == Kind<T>::kPRelu) layer.slope = activation.parameter->value;
  if (activation.kind == Kind<T>::kRelu) layer.slope = Zeros<T>(arena, layer.k);
  if (activation.kind == Kind<T>::kDice) {
    layer.norm = Normalize(tape, z, activation.statistics, kDiceEpsilon);
  }
  const bool keeps = KeepsOutput(layer) || activation.kind == Kind<T>::kDice;
  if (keeps) layer.kept = arena.Allocate<T>(layer.m * layer.k);
  layer.scratch = arena.Allocate<T>(layer.tile * layer.k);
  Forward(layer);
  tape.Record(layer.y, [layer, &tape] { Backward(layer, tape); });
  return layer.y;
}

#define INSTANTIATE(T) \
  template VarT<T> ActivatedLinear(TapeT<T>&, VarT<T>, const RowActivation<T>&, VarT<T>, VarT<T>);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace trestle
