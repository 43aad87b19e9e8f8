#include <immintrin.h>

#include "backend/vector_math.h"

namespace trestle::avx2 {
namespace {

constexpr int kLanes = 8;
using Vec = __m256;
using VecIndex = int __attribute__((vector_size(32)));

inline Vec Load(const float* p) { return _mm256_loadu_ps(p); }
// The first n < kLanes elements, then zeros.
inline Vec LoadFirst(const float* p, int64_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane));
}
inline Vec FmaLanes(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }

}  // namespace
}  // namespace trestle::avx2

#define KERNEL_NAMESPACE avx2
#include "backend/vector_math_kernels.inc"
