#include "base/hash.h"

#include <xxhash.h>

namespace trestle {
namespace {

// Inverse of x ^= x >> shift.
uint64_t UnXorShift(uint64_t x, int shift) {
  for (uint64_t y = x >> shift; y != 0; y >>= shift) x ^= y;
  return x;
}

}  // namespace

uint64_t Unmix64(uint64_t x) {
  x = UnXorShift(x, 31);
  x *= 0x319642B2D24D8EC3ull;  // inverse of 0x94D049BB133111EB mod 2^64
  x = UnXorShift(x, 27);
  x *= 0x96DE1B173F119089ull;  // inverse of 0xBF58476D1CE4E5B9
  return UnXorShift(x, 30);
}

uint64_t Hash64(std::span<const std::byte> bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t Hash64(std::string_view text, uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

}  // namespace trestle
