#include <immintrin.h>

#include "backend/vector_math.h"

namespace trestle::avx512 {
namespace {

constexpr int kLanes = 16;
using Vec = __m512;
using VecIndex = int __attribute__((vector_size(64)));

inline Vec Load(const float* p) { return _mm512_loadu_ps(p); }
// The first n < kLanes elements, then zeros.
inline Vec LoadFirst(const float* p, int64_t n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
inline Vec FmaLanes(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }

}  // namespace
}  // namespace trestle::avx512

#define KERNEL_NAMESPACE avx512
#include "backend/vector_math_kernels.inc"
