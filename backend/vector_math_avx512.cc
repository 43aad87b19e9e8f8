#include <immintrin.h>

#include "backend/vector_math.h"

namespace trestle::avx512 {
namespace {

template <class T>
struct Register;

template <>
struct Register<float> {
  using V = __m512;
  using Index = int __attribute__((vector_size(64)));
  static constexpr int kLanes = 16;
  static V Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, V v) { _mm512_storeu_ps(p, v); }
  // The first n < kLanes elements; loaded, the others are 0.
  static V LoadFirst(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(First(n), p); }
  static void StoreFirst(float* p, int64_t n, V v) { _mm512_mask_storeu_ps(p, First(n), v); }
  static V Fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  // NaN in b stays.
  static V Min(V a, V b) { return _mm512_min_ps(a, b); }
  static V Max(V a, V b) { return _mm512_max_ps(a, b); }

 private:
  static __mmask16 First(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
};

}  // namespace
}  // namespace trestle::avx512

#define KERNEL_NAMESPACE avx512
#include "backend/vector_math_kernels.inc"
