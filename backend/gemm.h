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

#include <array>
#include <cstdint>

namespace trestle {

template <class T>
void Gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a,
          const T* b, T* c, T beta);

// Many products that differ only in the length of the ragged dimension, the items of a history. One
// object serves one thread and keeps the kernels it has looked up.
//   no transpose: c [items,n] = a [items,k] b [k,n] + beta c
//   transpose_a:  c [k,n] = a^T b + beta c, a [items,k], b [items,n]
// The same bits as Gemm of that shape.
template <class T>
class RaggedGemm {
 public:
  RaggedGemm(bool transpose_a, int64_t n, int64_t k, T beta)
      : transpose_a_(transpose_a), n_(n), k_(k), beta_(beta) {}
  void operator()(int64_t items, const T* a, const T* b, T* c);

 private:
  using Kernel = void (*)(const T* b, const T* a, T* c, ...);
  static constexpr int64_t kLongest = 64;  // longer ones go to Gemm each time
  bool transpose_a_;
  int64_t n_, k_;
  T beta_;
  std::array<Kernel, kLongest + 1> kernels_{};  // null: not looked up yet, or there is none
};

}  // namespace trestle
