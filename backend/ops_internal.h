// Shared by the ops_*.cc: putting a gradient where it belongs, and instantiation of the templates.
#pragma once

#include <cstdint>

#include "backend/tape.h"

namespace trestle {

// sink[i] (+)= f(i).
template <class T, class F>
void Put(GradientSink<T> sink, int64_t n, F f) {
  if (sink.add) {
    for (int64_t i = 0; i < n; ++i) sink.data[i] += f(i);
  } else {
    for (int64_t i = 0; i < n; ++i) sink.data[i] = f(i);
  }
}

// The sink's data as an accumulator: zeroed unless it holds something already.
template <class T>
T* Accumulator(GradientSink<T> sink, int64_t n) {
  if (!sink.add) {
    for (int64_t i = 0; i < n; ++i) sink.data[i] = 0;
  }
  return sink.data;
}

template <class T>
T* Zeros(Arena& arena, int64_t n) {
  T* zeros = arena.Allocate<T>(n);
  for (int64_t i = 0; i < n; ++i) zeros[i] = 0;
  return zeros;
}

}  // namespace trestle
