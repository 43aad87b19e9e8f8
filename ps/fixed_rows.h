// Fixed-point arithmetic on whole rows: FixedUnit's formulas as loops that vectorise with AVX2.
//
// `Dim` is int or std::integral_constant<int, N> (see WithDim). The pragmas matter: g++ 12 unrolls
// a loop of 16 before it tries to vectorise, and then fails to (7 times slower).
//
// Thread safety: pure functions. Device: host.
// Source: base/fixed_point.h; the conversion of 64-bit integers to doubles by exponent splicing is
// folklore and rounds once, as the scalar instruction does (AVX2 has no vector instruction for it).
#pragma once

#include <bit>
#include <cstdint>

#include "base/fixed_point.h"

namespace trestle {

class FixedRows {
 public:
  explicit FixedRows(FixedUnit unit)
      : unit_(unit),
        magic_(1.5 * static_cast<double>(uint64_t{1} << (52 - unit.fraction_bits()))),
        scale_(unit.ToDouble(1)) {}

  // sum += x in units. Not zero if an x is no term (FixedUnit::IsTerm); the sum then means nothing.
  template <class Dim>
  uint64_t Add(const float* x, Dim dim, int64_t* sum) const {
    uint64_t excess = 0;
#pragma omp simd reduction(| : excess)
    for (int d = 0; d < dim; ++d) {
      const int64_t fixed = unit_.ToFixed(x[d]);
      excess |= FixedUnit::ExcessBits(fixed);
      sum[d] = Sum(sum[d], fixed);
    }
    return excess;
  }

  // a + b modulo 2^64.
  static int64_t Sum(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }

  // Whether the sums are floats that ToFixed maps back to them, so that 4 bytes carry each.
  template <class Dim>
  bool AreFloats(const int64_t* sum, Dim dim) const {
    uint64_t lost = 0;
#pragma omp simd reduction(| : lost)
    for (int d = 0; d < dim; ++d) {
      const double x = ToDoubleBelow51Bits(sum[d]);
      lost |= std::bit_cast<uint64_t>(x) ^ std::bit_cast<uint64_t>(double{static_cast<float>(x)});
      // Beyond 51 bits the splicing is wrong; the sum shifted by 2^51 then has bits from 52 on.
      lost |= (static_cast<uint64_t>(sum[d]) + kHalfRange) & ~(2 * kHalfRange - 1);
    }
    return lost == 0;
  }

  // out = sum. Requires AreFloats(sum).
  template <class Dim>
  void ToFloats(const int64_t* sum, Dim dim, float* out) const {
#pragma omp simd
    for (int d = 0; d < dim; ++d) out[d] = static_cast<float>(ToDoubleBelow51Bits(sum[d]));
  }

  // out = sum / rows, in double, rounded to float once at the end.
  template <class Dim>
  void ToMeans(const int64_t* sum, Dim dim, double rows, float* out) const {
#pragma omp simd
    for (int d = 0; d < dim; ++d) out[d] = static_cast<float>(ToDouble(sum[d]) * scale_ / rows);
  }

  // The double nearest to x: x = high * 2^32 + low, each spliced into a double's mantissa exactly.
  static double ToDouble(int64_t x) {
    const uint64_t bits = static_cast<uint64_t>(x);
    const double high = std::bit_cast<double>(((bits >> 32) ^ 0x80000000u) | 0x4530000000000000u);
    const double low = std::bit_cast<double>((bits & 0xFFFFFFFFu) | 0x4330000000000000u);
    return (high - (0x1p84 + 0x1p63 + 0x1p52)) + low;
  }

 private:
  static constexpr uint64_t kHalfRange = uint64_t{1} << 51;

  // The inverse of ToFixed: exact for |x| < 2^51, anything beyond.
  double ToDoubleBelow51Bits(int64_t x) const {
    return std::bit_cast<double>(static_cast<uint64_t>(x) + std::bit_cast<uint64_t>(magic_)) -
           magic_;
  }

  FixedUnit unit_;
  double magic_;
  double scale_;
};

}  // namespace trestle
