// Operators that move values without computing: concatenation, slices, other shapes.
#include <glog/logging.h>

#include "backend/ops.h"
#include "backend/ops_internal.h"
#include "backend/vector_math.h"

namespace trestle {

template <class T>
VarT<T> ConcatColumns(TapeT<T>& tape, std::span<const VarT<T>> parts) {
  CHECK(!parts.empty());
  const int64_t rows = parts[0]->rows;
  const int64_t count = static_cast<int64_t>(parts.size());
  auto* sources = tape.arena().template Allocate<VarT<T>>(count);
  int64_t cols = 0;
  bool needs_grad = false;
  for (int64_t p = 0; p < count; ++p) {
    CHECK_EQ(parts[p]->rows, rows);
    sources[p] = parts[p];
    cols += parts[p]->cols;
    needs_grad |= parts[p]->needs_grad;
  }
  VarT<T> y = tape.New(rows, cols, needs_grad);
  int64_t begin = 0;
  for (VarT<T> part : parts) {
    Vectors<T>().copy_rows(rows, part->cols, part->value, part->cols, y->value + begin, cols,
                           false);
    begin += part->cols;
  }
  tape.Record(y, [&tape, sources, count, rows, cols, y] {
    int64_t first = 0;
    for (int64_t p = 0; p < count; ++p) {
      const int64_t width = sources[p]->cols;
      if (sources[p]->needs_grad) {
        const GradientSink<T> sink = tape.Sink(sources[p]);
        Vectors<T>().copy_rows(rows, width, y->grad + first, cols, sink.data, width, sink.add);
      }
      first += width;
    }
  });
  return y;
}

template <class T>
VarT<T> SliceColumns(TapeT<T>& tape, VarT<T> a, int64_t begin, int64_t end) {
  CHECK(0 <= begin && begin <= end && end <= a->cols);
  const int64_t width = end - begin;
  VarT<T> y = tape.New(a->rows, width, a->needs_grad);
  Vectors<T>().copy_rows(a->rows, width, a->value + begin, a->cols, y->value, width, false);
  tape.Record(y, [&tape, a, y, begin, width] {
    T* grad = Accumulator(tape.Sink(a), a->size());
    Vectors<T>().copy_rows(a->rows, width, y->grad, width, grad + begin, a->cols, true);
  });
  return y;
}

template <class T>
VarT<T> Reshape(TapeT<T>& tape, VarT<T> a, int64_t rows, int64_t cols) {
  VarT<T> y = tape.Alias(a, rows, cols);
  tape.Record(
      y, [&tape, a, y] { Put(tape.Sink(a), a->size(), [=](int64_t i) { return y->grad[i]; }); });
  return y;
}

#define INSTANTIATE(T)                                                 \
  template VarT<T> ConcatColumns(TapeT<T>&, std::span<const VarT<T>>); \
  template VarT<T> SliceColumns(TapeT<T>&, VarT<T>, int64_t, int64_t); \
  template VarT<T> Reshape(TapeT<T>&, VarT<T>, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace trestle
