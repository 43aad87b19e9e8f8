// Optimizers of embedding rows: one step on one row, given the row's whole gradient.
//
// Each is a small value with
//   StateWidth(dim)   floats of state a row, slot after slot
//   InitialState()    what they start with
//   AtStep(step)      the same optimizer with all that depends on the global step computed once
//   Apply(w, state, g, dim)   the update
// `l2` is coupled: the gradient gains l2 * w before anything else sees it. Loops have no branches
// and are elementwise, or sum in eight fixed lanes, so bits do not depend on the width of vectors.
//
// Thread safety: immutable values. Device: host and device.
// Source: docs MODELS, section 14: Adagrad (Duchi 2011), row-wise Adagrad (DLRM), Adam (Kingma
// 2015) in the form of sparse rows: epsilon outside the bias correction, moments change only when
// touched.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"

namespace trestle::embedding {

// w -= lr g
struct SgdRow {
  float lr;
  float l2;
  TRESTLE_HD static int StateWidth(int) { return 0; }
  TRESTLE_HD float InitialState() const { return 0.0f; }
  TRESTLE_HD SgdRow AtStep(int64_t) const { return *this; }

  TRESTLE_HD void Apply(float* __restrict w, float*, const float* __restrict g, int dim) const {
#pragma omp simd
    for (int d = 0; d < dim; ++d) w[d] -= lr * (g[d] + l2 * w[d]);
  }
};

// s += g^2; w -= lr g / (sqrt(s) + epsilon)
struct AdagradRow {
  float lr;
  float initial_accumulator;
  float epsilon;
  float l2;
  TRESTLE_HD static int StateWidth(int dim) { return dim; }
  TRESTLE_HD float InitialState() const { return initial_accumulator; }
  TRESTLE_HD AdagradRow AtStep(int64_t) const { return *this; }

  TRESTLE_HD void Apply(float* __restrict w, float* __restrict s, const float* __restrict g,
                        int dim) const {
#pragma omp simd
    for (int d = 0; d < dim; ++d) {
      const float gradient = g[d] + l2 * w[d];
      s[d] += gradient * gradient;
      w[d] -= lr * gradient / (std::sqrt(s[d]) + epsilon);
    }
  }
};

// S += mean_d g_d^2; w -= lr g / (sqrt(S) + epsilon)
struct RowwiseAdagradRow {
  static constexpr int kSumLanes = 8;
  float lr;
  float initial_accumulator;
  float epsilon;
  float l2;
  TRESTLE_HD static int StateWidth(int) { return 1; }
  TRESTLE_HD float InitialState() const { return initial_accumulator; }
  TRESTLE_HD RowwiseAdagradRow AtStep(int64_t) const { return *this; }

  TRESTLE_HD void Apply(float* __restrict w, float* __restrict s, const float* __restrict g,
                        int dim) const {
    s[0] += SumOfSquares(w, g, dim) / static_cast<float>(dim);
    const float rate = lr / (std::sqrt(s[0]) + epsilon);
#pragma omp simd
    for (int d = 0; d < dim; ++d) w[d] -= rate * (g[d] + l2 * w[d]);
  }

 private:
  // Lane j adds elements j, j+8, ...; lanes are added pairwise. A fixed order that vectorizes.
  TRESTLE_HD float SumOfSquares(const float* __restrict w, const float* __restrict g,
                                int dim) const {
    float lanes[kSumLanes] = {};
    int d = 0;
    for (; d + kSumLanes <= dim; d += kSumLanes) {
#pragma omp simd
      for (int j = 0; j < kSumLanes; ++j) {
        const float gradient = g[d + j] + l2 * w[d + j];
        lanes[j] += gradient * gradient;
      }
    }
    for (int j = 0; d + j < dim; ++j) {
      const float gradient = g[d + j] + l2 * w[d + j];
      lanes[j] += gradient * gradient;
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  }
};

// m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= lr sqrt(1-b2^t)/(1-b1^t) m / (sqrt(v) + epsilon)
struct AdamRow {
  float lr;
  float beta1;
  float beta2;
  float epsilon;
  float l2;
  float corrected_lr = 0.0f;  // set by AtStep
  TRESTLE_HD static int StateWidth(int dim) { return 2 * dim; }
  TRESTLE_HD float InitialState() const { return 0.0f; }

  TRESTLE_HD AdamRow AtStep(int64_t step) const {
    const double t = static_cast<double>(step);
    const double correction = std::sqrt(1.0 - std::pow(static_cast<double>(beta2), t)) /
                              (1.0 - std::pow(static_cast<double>(beta1), t));
    AdamRow at_step = *this;
    at_step.corrected_lr = static_cast<float>(static_cast<double>(lr) * correction);
    return at_step;
  }

  TRESTLE_HD void Apply(float* __restrict w, float* __restrict state, const float* __restrict g,
                        int dim) const {
    float* __restrict m = state;
    float* __restrict v = state + dim;
#pragma omp simd
    for (int d = 0; d < dim; ++d) {
      const float gradient = g[d] + l2 * w[d];
      m[d] = beta1 * m[d] + (1.0f - beta1) * gradient;
      v[d] = beta2 * v[d] + (1.0f - beta2) * gradient * gradient;
      w[d] -= corrected_lr * m[d] / (std::sqrt(v[d]) + epsilon);
    }
  }
};

}  // namespace trestle::embedding
