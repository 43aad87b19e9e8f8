// Fixed-point sums: the reason why bits do not depend on the number of workers, servers or threads.
//
// Whatever is summed over lanes, workers or servers is added as 64-bit integers in units of 2^-40.
// Integer addition is associative even where a partial sum wraps, so any order and grouping gives
// one result. A *term* (one lane's float) must be below 2^11 in magnitude; with at most kMaxLanes
// terms a sum is below 2^23 and cannot overflow. What violates that, and NaN and infinity, is
// flagged by the caller with IsTerm() before it is added.
//
// Lanes of more than 512 rows take coarser units, one bit for each doubling of rows, since the
// terms of a lane grow with its rows: `FixedUnit` is that scale, a function of the config and never
// of data. Totals of an epoch are `EpochSum`: 128 bits.
//
// Thread safety: pure functions and plain values. Device: FixedUnit host and device. Source:
// docs/architecture.md, "Fixed-point sums".
#pragma once

#include <bit>
#include <cstdint>

#include "base/host_device.h"

namespace trestle {

inline constexpr int kMaxLanes = 4096;

class FixedUnit {
 public:
  // Units for lanes of at most `lane_rows` rows: 2^-40 up to 512 rows, then one bit fewer a
  // doubling, down to whole numbers (2^49 rows).
  static constexpr FixedUnit ForLaneRows(int64_t lane_rows) {
    int bits = 40;
    for (int64_t rows = 512; rows < lane_rows && bits > 0; rows *= 2) --bits;
    return FixedUnit(bits);
  }
  constexpr FixedUnit() : FixedUnit(40) {}

  constexpr int fraction_bits() const { return bits_; }
  // Whether x may be added: finite and below 2^(51 - fraction_bits), that is 2^11 at 40 bits.
  TRESTLE_HD bool IsTerm(float x) const { return x > -limit_ && x < limit_; }
  // Rounds to the nearest unit (ties to even). Without IsTerm(x) the result means nothing, but it
  // is a function of the bits of x, so that what was added can be taken back.
  TRESTLE_HD int64_t ToFixed(double x) const {
    return static_cast<int64_t>(std::bit_cast<uint64_t>(x + magic_) -
                                std::bit_cast<uint64_t>(magic_));
  }
  // Not zero unless `fixed` is ToFixed of a float that IsTerm: the same test for loops, where its
  // integers let the compiler vectorize (100,000 terms added and tested: 15 us instead of 60).
  TRESTLE_HD static uint64_t ExcessBits(int64_t fixed) {
    constexpr uint64_t kHalf = uint64_t{1} << 51;  // a term is in (-2^51, 2^51) units
    const uint64_t shifted = static_cast<uint64_t>(fixed) + kHalf;
    return (shifted | (shifted - 1)) >> 52;
  }
  TRESTLE_HD double ToDouble(int64_t fixed) const { return static_cast<double>(fixed) * unit_; }

 private:
  explicit constexpr FixedUnit(int bits)
      : bits_(bits),
        magic_(1.5 * static_cast<double>(uint64_t{1} << (52 - bits))),
        unit_(1.0 / static_cast<double>(uint64_t{1} << bits)),
        limit_(static_cast<double>(uint64_t{1} << (51 - bits))) {}
  int bits_;
  double magic_;
  double unit_;
  double limit_;
};

// A sum over an epoch of 64-bit fixed-point values: 128 bits, so that it cannot wrap.
struct EpochSum {
  __extension__ typedef __int128 Int128;
  Int128 units = 0;

  void Add(int64_t fixed) { units += fixed; }
  void Add(const EpochSum& other) { units += other.units; }
  double ToDouble(FixedUnit unit) const {
    return static_cast<double>(units) / static_cast<double>(uint64_t{1} << unit.fraction_bits());
  }
};

}  // namespace trestle
