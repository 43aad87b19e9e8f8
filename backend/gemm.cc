#include "backend/gemm.h"

#include <glog/logging.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <vector>

#include "backend/isa.h"

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

}  // namespace

template <>
void Gemm<float>(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 const float* a, const float* b, float* c, float beta) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (beta == 0) std::fill_n(c, m * n, 0.0f);
    return;
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

}  // namespace trestle
