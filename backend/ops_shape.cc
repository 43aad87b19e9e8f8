// Operators that move values without computing: concatenation, slices, other shapes.
#include <glog/logging.h>

#include <algorithm>

#include "backend/ops.h"
#include "backend/ops_internal.h"

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
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(part->value + r * part->cols, part->cols, y->value + r * cols + begin);
    }
    begin += part->cols;
  }
  tape.Record(y, [&tape, sources, count, rows, cols, y] {
    int64_t first = 0;
    for (int64_t p = 0; p < count; ++p) {
      const int64_t width = sources[p]->cols;
      if (sources[p]->needs_grad) {
        const GradientSink<T> sink = tape.Sink(sources[p]);
        for (int64_t r = 0; r < rows; ++r) {
          const T* dy = y->grad + r * cols + first;
          Put(GradientSink<T>{sink.data + r * width, sink.add}, width,
              [=](int64_t c) { return dy[c]; });
        }
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
  for (int64_t r = 0; r < a->rows; ++r) {
    std::copy_n(a->value + r * a->cols + begin, width, y->value + r * width);
  }
  tape.Record(y, [&tape, a, y, begin, width] {
    T* grad = Accumulator(tape.Sink(a), a->size());
    for (int64_t r = 0; r < a->rows; ++r) {
      for (int64_t c = 0; c < width; ++c) grad[r * a->cols + begin + c] += y->grad[r * width + c];
    }
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
