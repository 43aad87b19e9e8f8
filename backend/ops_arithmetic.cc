// Products, sums and scaling.
#include <glog/logging.h>

#include <algorithm>

#include "backend/gemm.h"
#include "backend/ops.h"
#include "backend/ops_internal.h"
#include "backend/vector_math.h"

namespace trestle {
namespace {

// How the second operand of Add, Subtract and Multiply meets the first.
enum class Broadcast { kSame, kRow, kColumn };

template <class T>
Broadcast BroadcastOf(VarT<T> a, VarT<T> b) {
  if (a->rows == b->rows && a->cols == b->cols) return Broadcast::kSame;
  if (b->rows == 1 && b->cols == a->cols) return Broadcast::kRow;
  if (b->cols == 1 && b->rows == a->rows) return Broadcast::kColumn;
  LOG(FATAL) << "shapes do not fit: [" << a->rows << ", " << a->cols << "] and [" << b->rows << ", "
             << b->cols << "]";
}

// Calls f(i, j) for each element i of a [rows, cols] and the element j of b that meets it, row by
// row.
template <class F>
void ForEachPair(Broadcast broadcast, int64_t rows, int64_t cols, F f) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const int64_t i = r * cols + c;
      f(i, broadcast == Broadcast::kSame ? i : broadcast == Broadcast::kRow ? c : r);
    }
  }
}

// y = a op b. `da(i, j)` and `db(i, j)` are the factors that dy[i] has in the gradients.
template <class T, class Op, class Da, class Db>
VarT<T> Binary(TapeT<T>& tape, VarT<T> a, VarT<T> b, Op op, Da da, Db db) {
  const Broadcast broadcast = BroadcastOf<T>(a, b);
  VarT<T> y = tape.New(a->rows, a->cols, a->needs_grad || b->needs_grad);
  ForEachPair(broadcast, a->rows, a->cols,
              [&](int64_t i, int64_t j) { y->value[i] = op(a->value[i], b->value[j]); });
  tape.Record(y, [&tape, a, b, y, broadcast, da, db] {
    if (a->needs_grad) {
      T* grad = Accumulator(tape.Sink(a), a->size());
      ForEachPair(broadcast, a->rows, a->cols, [&](int64_t i, int64_t j) {
        grad[i] += y->grad[i] * da(a->value[i], b->value[j]);
      });
    }
    if (b->needs_grad) {
      T* grad = Accumulator(tape.Sink(b), b->size());
      ForEachPair(broadcast, a->rows, a->cols, [&](int64_t i, int64_t j) {
        grad[j] += y->grad[i] * db(a->value[i], b->value[j]);
      });
    }
  });
  return y;
}

}  // namespace

template <class T>
VarT<T> MatMul(TapeT<T>& tape, VarT<T> a, VarT<T> b) {
  CHECK_EQ(a->cols, b->rows);
  const int64_t m = a->rows, k = a->cols, n = b->cols;
  VarT<T> c = tape.New(m, n, a->needs_grad || b->needs_grad);
  Gemm<T>(false, false, m, n, k, a->value, b->value, c->value, T{0});
  tape.Record(c, [&tape, a, b, c, m, n, k] {
    if (a->needs_grad) {
      const GradientSink<T> da = tape.Sink(a);
      Gemm<T>(false, true, m, k, n, c->grad, b->value, da.data, da.add);
    }
    if (b->needs_grad) {
      const GradientSink<T> db = tape.Sink(b);
      Gemm<T>(true, false, k, n, m, a->value, c->grad, db.data, db.add);
    }
  });
  return c;
}

template <class T>
VarT<T> Add(TapeT<T>& tape, VarT<T> a, VarT<T> b) {
  return Binary<T>(
      tape, a, b, [](T x, T y) { return x + y; }, [](T, T) { return T{1}; },
      [](T, T) { return T{1}; });
}

template <class T>
VarT<T> Subtract(TapeT<T>& tape, VarT<T> a, VarT<T> b) {
  return Binary<T>(
      tape, a, b, [](T x, T y) { return x - y; }, [](T, T) { return T{1}; },
      [](T, T) { return T{-1}; });
}

template <class T>
VarT<T> Multiply(TapeT<T>& tape, VarT<T> a, VarT<T> b) {
  return Binary<T>(
      tape, a, b, [](T x, T y) { return x * y; }, [](T, T y) { return y; },
      [](T x, T) { return x; });
}

template <class T>
VarT<T> Scale(TapeT<T>& tape, VarT<T> a, T factor) {
  VarT<T> y = tape.New(a->rows, a->cols, a->needs_grad);
  for (int64_t i = 0; i < y->size(); ++i) y->value[i] = factor * a->value[i];
  tape.Record(y, [&tape, a, y, factor] {
    Put(tape.Sink(a), a->size(), [=](int64_t i) { return factor * y->grad[i]; });
  });
  return y;
}

template <class T>
VarT<T> SumRows(TapeT<T>& tape, VarT<T> a) {
  VarT<T> y = tape.New(1, a->cols, a->needs_grad);
  std::fill_n(y->value, a->cols, T{0});
  Vectors<T>().add_rows(a->rows, a->cols, a->value, y->value);
  tape.Record(y, [&tape, a, y] {
    T* grad = Accumulator(tape.Sink(a), a->size());
    ForEachPair(Broadcast::kRow, a->rows, a->cols,
                [&](int64_t i, int64_t j) { grad[i] += y->grad[j]; });
  });
  return y;
}

template <class T>
VarT<T> SumColumns(TapeT<T>& tape, VarT<T> a) {
  VarT<T> y = tape.New(a->rows, 1, a->needs_grad);
  std::fill_n(y->value, a->rows, T{0});
  ForEachPair(Broadcast::kColumn, a->rows, a->cols,
              [&](int64_t i, int64_t j) { y->value[j] += a->value[i]; });
  tape.Record(y, [&tape, a, y] {
    T* grad = Accumulator(tape.Sink(a), a->size());
    ForEachPair(Broadcast::kColumn, a->rows, a->cols,
                [&](int64_t i, int64_t j) { grad[i] += y->grad[j]; });
  });
  return y;
}

#define INSTANTIATE(T)                                    \
  template VarT<T> MatMul(TapeT<T>&, VarT<T>, VarT<T>);   \
  template VarT<T> Add(TapeT<T>&, VarT<T>, VarT<T>);      \
  template VarT<T> Subtract(TapeT<T>&, VarT<T>, VarT<T>); \
  template VarT<T> Multiply(TapeT<T>&, VarT<T>, VarT<T>); \
  template VarT<T> Scale(TapeT<T>&, VarT<T>, T);          \
  template VarT<T> SumRows(TapeT<T>&, VarT<T>);           \
  template VarT<T> SumColumns(TapeT<T>&, VarT<T>);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace trestle
