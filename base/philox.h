// Philox4x32-10: randomness as a pure function of position. No state, so any rank can compute any
// value: a row's initial weights, a dropout mask, a permutation are functions of (seed, what,
// where).
//
// Thread safety: pure functions. Device: host and device.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; Random123's
// vectors.
#pragma once

#include <array>
#include <cstdint>

#include "base/host_device.h"

namespace trestle {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

TRESTLE_HD inline PhiloxCounter Philox(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

// Four words for a 64-bit seed and two 64-bit coordinates.
TRESTLE_HD inline PhiloxCounter Philox(uint64_t seed, uint64_t a, uint64_t b) {
  return Philox({static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32), static_cast<uint32_t>(b),
                 static_cast<uint32_t>(b >> 32)},
                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

// Uniform in [0, 1) with 24 bits, exactly representable.
TRESTLE_HD inline float UniformFloat(uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}
// Uniform in (0, 1], for logarithms.
TRESTLE_HD inline float UniformFloatAboveZero(uint32_t word) {
  return (static_cast<float>(word >> 8) + 1.0f) * 0x1p-24f;
}

}  // namespace trestle
