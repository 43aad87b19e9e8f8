// Operators between rows and the items they own.
#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "backend/ops.h"
#include "backend/ops_internal.h"
#include "backend/vector_math.h"

namespace trestle {
namespace {

void CheckOffsets(Offsets offsets, int64_t items) {
  CHECK(!offsets.empty());
  CHECK_EQ(offsets.front(), 0);
  CHECK_EQ(offsets.back(), items);
}

int64_t RowsOf(Offsets offsets) { return static_cast<int64_t>(offsets.size()) - 1; }

// Calls f(row, first item, number of items) for each row.
template <class F>
void ForEachRow(Offsets offsets, F f) {
  for (int64_t r = 0; r < RowsOf(offsets); ++r) f(r, offsets[r], offsets[r + 1] - offsets[r]);
}

// items [total,n] -> [b,n]: the sum of each row's items times factor(number of items).
template <class T, class F>
VarT<T> JaggedReduce(TapeT<T>& tape, VarT<T> items, Offsets offsets, F factor) {
  CheckOffsets(offsets, items->rows);
  const int64_t n = items->cols;
  VarT<T> y = tape.New(RowsOf(offsets), n, items->needs_grad);
  std::fill_n(y->value, y->size(), T{0});
  ForEachRow(offsets, [&](int64_t r, int64_t first, int64_t count) {
    T* sum = y->value + r * n;
    Vectors<T>().add_rows(count, n, items->value + first * n, sum);
    const T scale = factor(count);
    for (int64_t c = 0; c < n; ++c) sum[c] *= scale;
  });
  tape.Record(y, [&tape, items, offsets, y, n, factor] {
    const GradientSink<T> sink = tape.Sink(items);
    ForEachRow(offsets, [&](int64_t r, int64_t first, int64_t count) {
      const T* dy = y->grad + r * n;
      const T scale = factor(count);
      for (int64_t j = first; j < first + count; ++j) {
        Put(GradientSink<T>{sink.data + j * n, sink.add}, n,
            [=](int64_t c) { return scale * dy[c]; });
      }
    });
  });
  return y;
}

}  // namespace

template <class T>
VarT<T> BroadcastToItems(TapeT<T>& tape, VarT<T> a, Offsets offsets) {
  CheckOffsets(offsets, offsets.empty() ? 0 : offsets.back());
  CHECK_EQ(RowsOf(offsets), a->rows);
  const int64_t n = a->cols;
  VarT<T> y = tape.New(offsets.back(), n, a->needs_grad);
  ForEachRow(offsets, [&](int64_t r, int64_t first, int64_t count) {
    Vectors<T>().fill_rows(count, n, a->value + r * n, y->value + first * n);
  });
  tape.Record(y, [&tape, a, offsets, y, n] {
    T* grad = Accumulator(tape.Sink(a), a->size());
    ForEachRow(offsets, [&](int64_t r, int64_t first, int64_t count) {
      Vectors<T>().add_rows(count, n, y->grad + first * n, grad + r * n);
    });
  });
  return y;
}

template <class T>
VarT<T> JaggedSum(TapeT<T>& tape, VarT<T> items, Offsets offsets) {
  return JaggedPool(tape, items, offsets, SUM);
}

template <class T>
VarT<T> JaggedPool(TapeT<T>& tape, VarT<T> items, Offsets offsets, Pooling pooling) {
  return JaggedReduce<T>(tape, items, offsets, [pooling](int64_t count) {
    if (count == 0 || pooling == SUM) return T{1};
    const T n = static_cast<T>(count);
    return T{1} / (pooling == MEAN ? n : std::sqrt(n));
  });
}

template <class T>
VarT<T> JaggedSoftmax(TapeT<T>& tape, VarT<T> scores, Offsets offsets) {
  CheckOffsets(offsets, scores->rows);
  CHECK_EQ(scores->cols, 1);
  VarT<T> y = tape.New(scores->rows, 1, scores->needs_grad);
  ForEachRow(offsets, [&](int64_t, int64_t first, int64_t count) {
    if (count == 0) return;
    const T* s = scores->value + first;
    T* w = y->value + first;
    const T largest = *std::max_element(s, s + count);
    T sum = 0;
    for (int64_t j = 0; j < count; ++j) sum += w[j] = std::exp(s[j] - largest);
    for (int64_t j = 0; j < count; ++j) w[j] /= sum;
  });
  tape.Record(y, [&tape, scores, offsets, y] {
    const GradientSink<T> sink = tape.Sink(scores);
    ForEachRow(offsets, [&](int64_t, int64_t first, int64_t count) {
      const T* w = y->value + first;
      const T* dw = y->grad + first;
      T mean = 0;
      for (int64_t j = 0; j < count; ++j) mean += w[j] * dw[j];
      Put(GradientSink<T>{sink.data + first, sink.add}, count,
          [=](int64_t j) { return w[j] * (dw[j] - mean); });
    });
  });
  return y;
}

#define INSTANTIATE(T)                                               \
  template VarT<T> BroadcastToItems(TapeT<T>&, VarT<T>, Offsets);    \
  template VarT<T> JaggedSum(TapeT<T>&, VarT<T>, Offsets);           \
  template VarT<T> JaggedPool(TapeT<T>&, VarT<T>, Offsets, Pooling); \
  template VarT<T> JaggedSoftmax(TapeT<T>&, VarT<T>, Offsets);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace trestle
