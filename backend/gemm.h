// Gemm: the one matrix product that all operators call, and the one place that knows which library
// computes it. Row-major, packed matrices:
//   c [m,n] = op(a) op(b) + beta c,  op(a) [m,k]: a is [m,k], or [k,m] if transpose_a; op(b) [k,n]
//   likewise.
// float: LIBXSMM kernels for small products, oneDNN for large ones, our own loops where one side is
// a vector; which one is a function of the shape only, so a product has the same bits wherever it
// is computed. double: plain loops, the reference.
//
// Thread safety: any thread; every caller's OpenMP count must be one (base/thread_pool.h). Bits
// depend on the instruction set (isa.h) and the library versions, not on the thread. beta is 0
// or 1.
#pragma once

#include <cstdint>

namespace trestle {

template <class T>
void Gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a,
          const T* b, T* c, T beta);

}  // namespace trestle
