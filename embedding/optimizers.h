// Optimizers of embedding rows: one step on one row, given the row's whole gradient.
//
// Each is a small value with
//   StateWidth(dim)   floats of state a row, slot after slot
//   InitialState()    what they start with
//   AtStep(step, lr_factor)   the same optimizer at one step: its learning rate times the
//                     schedule's factor, and all that depends on the global step computed once
//   Apply(w, state, g, dim)   the update
// `l2` is coupled: the gradient gains l2 * w before anything else sees it (FTRL has a proximal l2
// of its own instead). All are lazy: in a step that does not touch a row nothing of it changes, so
// that velocity, moments and mean squares neither decay nor move the weights meanwhile. Loops have
// no branches and are elementwise, or sum in eight fixed lanes, so bits do not depend on the width
// of vectors.
//
// Thread safety: immutable values. Device: host and device.
// Source: docs MODELS, section 14: Adagrad (Duchi 2011), row-wise Adagrad (DLRM), Adam (Kingma
// 2015) in the form of sparse rows: epsilon outside the bias correction; momentum and RMSProp in
// PyTorch's form; FTRL-proximal (McMahan et al. 2013, algorithm 1).
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
  TRESTLE_HD SgdRow AtStep(int64_t, float lr_factor) const { return {lr * lr_factor, l2}; }

  TRESTLE_HD void Apply(float* __restrict w, float*, const float* __restrict g, int dim) const {
#pragma omp simd
    for (int d = 0; d < dim; ++d) w[d] -= lr * (g[d] + l2 * w[d]);
  }
};

// v = momentum v + g; w -= lr v
struct MomentumRow {
  float lr;
  float momentum;
  float l2;
  TRESTLE_HD static int StateWidth(int dim) { return dim; }
  TRESTLE_HD float InitialState() const { return 0.0f; }
  TRESTLE_HD MomentumRow AtStep(int64_t, float lr_factor) const {
    return {lr * lr_factor, momentum, l2};
  }

  TRESTLE_HD void Apply(float* __restrict w, float* __restrict v, const float* __restrict g,
                        int dim) const {
#pragma omp simd
    for (int d = 0; d < dim; ++d) {
      v[d] = momentum * v[d] + (g[d] + l2 * w[d]);
      w[d] -= lr * v[d];
    }
  }
};

// v = decay v + (1-decay) g^2; w -= lr g / (sqrt(v) + epsilon)
struct RmsPropRow {
  float lr;
  float decay;
  float epsilon;
  float l2;
  TRESTLE_HD static int StateWidth(int dim) { return dim; }
  TRESTLE_HD float InitialState() const { return 0.0f; }
  TRESTLE_HD RmsPropRow AtStep(int64_t, float lr_factor) const {
    return {lr * lr_factor, decay, epsilon, l2};
  }

  TRESTLE_HD void Apply(float* __restrict w, float* __restrict v, const float* __restrict g,
                        int dim) const {
#pragma omp simd
    for (int d = 0; d < dim; ++d) {
      const float gradient = g[d] + l2 * w[d];
      v[d] = decay * v[d] + (1.0f - decay) * gradient * gradient;
      w[d] -= lr * gradient / (std::sqrt(v[d]) + epsilon);
    }
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
  TRESTLE_HD AdagradRow AtStep(int64_t, float lr_factor) const {
    return {lr * lr_factor, initial_accumulator, epsilon, l2};
  }

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
  TRESTLE_HD RowwiseAdagradRow AtStep(int64_t, float lr_factor) const {
    return {lr * lr_factor, initial_accumulator, epsilon, l2};
  }

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

  TRESTLE_HD AdamRow AtStep(int64_t step, float lr_factor) const {
    const double t = static_cast<double>(step);
    const double correction = std::sqrt(1.0 - std::pow(static_cast<double>(beta2), t)) /
                              (1.0 - std::pow(static_cast<double>(beta1), t));
    AdamRow at_step = *this;
    at_step.corrected_lr = static_cast<float>(static_cast<double>(lr * lr_factor) * correction);
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

// FTRL-proximal, per element, with D(n) = (beta + sqrt(n)) / lr:
//   z += g - (D(n + g^2) - D(n)) w
//   n += g^2
//   w = 0 if |z| <= l1, else (sign(z) l1 - z) / (D(n) + l2)
// A weight that is not 0 determines its z, and z is taken from it here:
//   z = -sign(w) l1 - (D + l2) w
// That is the same as long as lr stays, starts from any initial weight, and where a schedule moves
// lr it keeps the weight, which the update of z as it stands would scale by lr's change.
// Without l1 and l2 it is w -= lr g / (beta + sqrt(n)).
struct FtrlRow {
  float lr;
  float beta;
  float l1;
  float l2;
  TRESTLE_HD static int StateWidth(int dim) { return 2 * dim; }
  TRESTLE_HD float InitialState() const { return 0.0f; }
  TRESTLE_HD FtrlRow AtStep(int64_t, float lr_factor) const {
    return {lr * lr_factor, beta, l1, l2};
  }

  TRESTLE_HD void Apply(float* __restrict w, float* __restrict state, const float* __restrict g,
                        int dim) const {
    constexpr float kNoRate = 1e-20f;  // moves no weight, and D would be infinite
    if (lr < kNoRate) return;
    float* __restrict z = state;
    float* __restrict n = state + dim;
#pragma omp simd
    for (int d = 0; d < dim; ++d) {
      n[d] += g[d] * g[d];
      const float divisor = (beta + std::sqrt(n[d])) / lr + l2;
      const float before = w[d] == 0.0f ? z[d] : -(divisor * w[d] + std::copysign(l1, w[d]));
      z[d] = before + g[d];
      w[d] = std::fabs(z[d]) <= l1 ? 0.0f : (std::copysign(l1, z[d]) - z[d]) / divisor;
    }
  }
};

}  // namespace trestle::embedding
