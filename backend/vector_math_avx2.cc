#include <immintrin.h>

#include "backend/vector_math.h"

namespace trestle::avx2 {
namespace {

template <class T>
struct Register;

template <>
struct Register<float> {
  using V = __m256;
  using Index = int __attribute__((vector_size(32)));
  static constexpr int kLanes = 8;
  static V Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, V v) { _mm256_storeu_ps(p, v); }
  // The first n < kLanes elements; loaded, the others are 0.
  static V LoadFirst(const float* p, int64_t n) { return _mm256_maskload_ps(p, First(n)); }
  static void StoreFirst(float* p, int64_t n, V v) { _mm256_maskstore_ps(p, First(n), v); }
  static V Fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  // NaN in b stays.
  static V Min(V a, V b) { return _mm256_min_ps(a, b); }
  static V Max(V a, V b) { return _mm256_max_ps(a, b); }

 private:
  static __m256i First(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  }
};

}  // namespace
}  // namespace trestle::avx2

#define KERNEL_NAMESPACE avx2
#include "backend/vector_math_kernels.inc"
