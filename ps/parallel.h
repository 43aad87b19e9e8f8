// Loops over ranges of keys: a thread pool hands out chunks, not single keys.
// Thread safety: as ThreadPool::ParallelFor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/thread_pool.h"

namespace trestle {

// Calls body(begin, end) over [0, count) in chunks of `grain`.
template <class Body>
void ParallelRanges(ThreadPool* pool, size_t count, size_t grain, Body&& body) {
  const size_t chunks = (count + grain - 1) / grain;
  pool->ParallelFor(static_cast<int64_t>(chunks), [&](int64_t chunk, int /*thread*/) {
    const size_t begin = static_cast<size_t>(chunk) * grain;
    body(begin, std::min(count, begin + grain));
  });
}

// Calls f with the row width as a compile-time constant where it is a usual one, so that loops over
// a row unroll; any other width runs the same code with a variable.
template <class F>
auto WithDim(int dim, F&& f) {
  switch (dim) {
    case 8:
      return f(std::integral_constant<int, 8>{});
    case 16:
      return f(std::integral_constant<int, 16>{});
    case 32:
      return f(std::integral_constant<int, 32>{});
    case 64:
      return f(std::integral_constant<int, 64>{});
    default:
      return f(dim);
  }
}

}  // namespace trestle
