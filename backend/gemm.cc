#include "backend/gemm.h"

#include <glog/logging.h>
#include <libxsmm.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>

#include "backend/isa.h"
#include "backend/vector_math.h"

namespace trestle {
namespace {

void OneDnnGemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
                const float* b, float* c, float beta) {
  ActiveInstructionSet();
  const dnnl_status_t status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a,
                 transpose_a ? m : k, b, transpose_b ? k : n, beta, c, n);
  CHECK_EQ(status, dnnl_success) << "dnnl_sgemm of " << m << " x " << k << " x " << n;
}

// LIBXSMM generates one kernel a shape. Measured on one core (AVX-512, peak 270 GFLOP/s; AVX2,
// 135): 30 x 32 x 80 at 256 and 127 against 175 and 115 of oneDNN; at 256 rows they tie, and from
// there oneDNN's blocking wins. It has no kernel for a transposed b.
bool IsSmall(bool transpose_b, int64_t m, int64_t n, int64_t k) {
  return !transpose_b && m <= 64 && n <= 128 && k <= 128;
}

// Row-major c = a b is column-major c^T = b^T a^T: LIBXSMM's first operand is our b. Null if it has
// no kernel for the shape.
libxsmm_smmfunction SmallKernel(bool transpose_a, int64_t m, int64_t n, int64_t k, float beta) {
  ActiveInstructionSet();
  const float alpha = 1.0f;
  const int flags = transpose_a ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
  const auto rows = static_cast<libxsmm_blasint>(m), cols = static_cast<libxsmm_blasint>(n),
             inner = static_cast<libxsmm_blasint>(k);
  const libxsmm_blasint lda = transpose_a ? rows : inner;
  return libxsmm_smmdispatch(cols, rows, inner, &cols, &lda, &cols, &alpha, &beta, &flags, nullptr);
}

// Products with a vector, for which a general kernel is a waste: a column (n = 1: a layer to one
// logit), its gradient to the weights, and the outer product that is its gradient to the inputs.
bool VectorGemm(bool transpose_a, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                float* c, float beta) {
  const VectorMath<float>& v = Vectors<float>();
  const bool add = beta != 0;
  if (n == 1 && !transpose_a) {
    v.dot_rows(m, k, a, b, c, add);
  } else if (n == 1) {
    v.weighted_rows(k, m, a, b, c, add);
  } else if (k == 1) {  // a and b are vectors whichever way they are transposed
    v.outer(m, n, a, b, c, add);
  } else {
    return false;
  }
  return true;
}

}  // namespace

template <>
void Gemm<float>(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 const float* a, const float* b, float* c, float beta) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (beta == 0) std::fill_n(c, m * n, 0.0f);
    return;
  }
  if (VectorGemm(transpose_a, m, n, k, a, b, c, beta)) return;
  if (IsSmall(transpose_b, m, n, k)) {
    if (const auto kernel = SmallKernel(transpose_a, m, n, k, beta)) return kernel(b, a, c);
  }
  OneDnnGemm(transpose_a, transpose_b, m, n, k, a, b, c, beta);
}

template <>
void Gemm<double>(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                  const double* a, const double* b, double* c, double beta) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = beta == 0 ? 0 : c[i * n + j];
      for (int64_t l = 0; l < k; ++l) {
        sum += (transpose_a ? a[l * m + i] : a[i * k + l]) *
               (transpose_b ? b[j * k + l] : b[l * n + j]);
      }
      c[i * n + j] = sum;
    }
  }
}

template <>
void RaggedGemm<float>::operator()(int64_t items, const float* a, const float* b, float* c) {
  const int64_t m = transpose_a_ ? k_ : items, k = transpose_a_ ? items : k_;
  const bool cached = items > 0 && items <= kLongest && n_ > 1 && k > 1 && IsSmall(false, m, n_, k);
  if (!cached) return Gemm<float>(transpose_a_, false, m, n_, k, a, b, c, beta_);
  Kernel& kernel = kernels_[items];
  if (kernel == nullptr) kernel = SmallKernel(transpose_a_, m, n_, k, beta_);
  if (kernel == nullptr) return Gemm<float>(transpose_a_, false, m, n_, k, a, b, c, beta_);
  kernel(b, a, c);
}

template <>
void RaggedGemm<double>::operator()(int64_t items, const double* a, const double* b, double* c) {
  const int64_t m = transpose_a_ ? k_ : items, k = transpose_a_ ? items : k_;
  Gemm<double>(transpose_a_, false, m, n_, k, a, b, c, beta_);
}

}  // namespace trestle
