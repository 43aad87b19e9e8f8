// Our own elementwise kernels and row sums: what no library has. One source
// (vector_math_kernels.inc) is compiled once for AVX2 and once for AVX-512 and chosen by the active
// instruction set (isa.h), since our code's default is x86-64-v3. Every T = double kernel is the
// same source with the exact exp of libm: the reference of the float one.
//
// All matrices are row-major and packed. Elementwise results have the same bits on both instruction
// sets. Sums over rows run in row order, one accumulator a column; dot products have 16
// accumulators (element i goes to accumulator i mod 16), which are then added pairwise: also fixed.
// float: exp within 1.2e-7 relative (degree-6 polynomial on |r| <= ln(2)/2, error 1e-8 before
// rounding), so sigmoid and tanh within 3e-7. Thread safety: pure functions.
#pragma once

#include <cstdint>

namespace trestle {

template <class T>
struct VectorMath {
  // y[i] = 1 / (1 + exp(-x[i])); dx[i] (+)= dy[i] y[i] (1 - y[i]), dx not null.
  void (*sigmoid)(int64_t n, const T* x, T* y);
  void (*sigmoid_backward)(int64_t n, const T* y, const T* dy, T* dx, bool add);
  void (*tanh)(int64_t n, const T* x, T* y);
  void (*tanh_backward)(int64_t n, const T* y, const T* dy, T* dx, bool add);

  // One slope a column: y = x > 0 ? x : slope x. Backward: dx (may be null) and dslope [cols]
  // (adds; may be null).
  void (*prelu)(int64_t rows, int64_t cols, const T* x, const T* slope, T* y);
  void (*prelu_backward)(int64_t rows, int64_t cols, const T* x, const T* slope, const T* dy, T* dx,
                         bool add, T* dslope);

  // Mean and biased variance of each column, rows > 0.
  void (*moments)(int64_t rows, int64_t cols, const T* x, T* mean, T* variance);

  // Dice, see ops.h. gate [rows, cols] receives p.
  void (*dice)(int64_t rows, int64_t cols, const T* x, const T* alpha, const T* mean, const T* istd,
               T* gate, T* y);
  // y from a gate that was kept.
  void (*dice_again)(int64_t rows, int64_t cols, const T* x, const T* alpha, const T* gate, T* y);
  // Sums over rows that its backward needs, each [cols], each added to:
  //   dalpha = sum dy x (1-p), dxh = sum g, dxh_xh = sum g xh with g = dy x (1-alpha) p (1-p).
  void (*dice_sums)(int64_t rows, int64_t cols, const T* x, const T* alpha, const T* mean,
                    const T* istd, const T* gate, const T* dy, T* dalpha, T* dxh, T* dxh_xh);
  // dx (+)= dy (alpha + (1-alpha) p) + istd (g - mean_dxh - xh mean_dxh_xh).
  void (*dice_backward)(int64_t rows, int64_t cols, const T* x, const T* alpha, const T* mean,
                        const T* istd, const T* gate, const T* dy, const T* mean_dxh,
                        const T* mean_dxh_xh, T* dx, bool add);

  // out[r] = x for every r; out[r] (+)= x[r] between matrices with different row strides.
  void (*fill_rows)(int64_t rows, int64_t cols, const T* x, T* out);
  void (*copy_rows)(int64_t rows, int64_t cols, const T* x, int64_t x_stride, T* out,
                    int64_t out_stride, bool add);
  // sum[c] += sum_r x[r][c].
  void (*add_rows)(int64_t rows, int64_t cols, const T* x, T* sum);
  // out[r] (+)= <x[r], w>.
  void (*dot_rows)(int64_t rows, int64_t cols, const T* x, const T* w, T* out, bool add);
  // out[c] (+)= sum_r w[r] x[r][c], in row order.
  void (*weighted_rows)(int64_t rows, int64_t cols, const T* x, const T* w, T* out, bool add);
  // out[r][c] (+)= w[r] x[c].
  void (*outer)(int64_t rows, int64_t cols, const T* w, const T* x, T* out, bool add);
  // The folded matrix of one sample of the attention unit, see attention.h, all [rows, cols]:
  //   m[r][c] = base[r][c] + scale[r] x[r][c], and transposed: base[r][c] + scale[c] x[r][c].
  void (*fold)(int64_t rows, int64_t cols, const T* base, const T* scale, const T* x, T* m);
  void (*fold_transposed)(int64_t rows, int64_t cols, const T* base, const T* scale, const T* x,
                          T* m);
  // Its backward, in one pass over dm: dbase += dm, dx[r] += scale[r] dm[r], dscale[r] = <dm[r],
  // x[r]>.
  void (*fold_backward)(int64_t rows, int64_t cols, const T* dm, const T* scale, const T* x,
                        T* dbase, T* dx, T* dscale);
};

// The kernels of the active instruction set.
template <class T>
const VectorMath<T>& Vectors();

}  // namespace trestle
