#include "base/hash.h"

#include <xxhash.h>

#include <cinttypes>
#include <cstdio>
#include <new>

namespace trestle {
namespace {

// Inverse of x ^= x >> shift, for shifts from 22 to 31.
uint64_t UnXorShift(uint64_t x, int shift) { return x ^ x >> shift ^ x >> 2 * shift; }

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

std::string Hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, value);
  return text;
}

struct Hasher128::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() {
    if (xxh == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh);
  }
  ~State() { XXH3_freeState(xxh); }
};

Hasher128::Hasher128() : state_(std::make_unique<State>()) {}
Hasher128::~Hasher128() = default;
Hasher128::Hasher128(Hasher128&&) noexcept = default;
Hasher128& Hasher128::operator=(Hasher128&&) noexcept = default;

void Hasher128::Update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

std::string Hasher128::Hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh));
  std::string text;
  char digits[3];
  for (const unsigned char byte : canonical.digest) {
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    text += digits;
  }
  return text;
}

std::string Hash128(std::string_view text) {
  Hasher128 hasher;
  hasher.Update(std::as_bytes(std::span(text)));
  return hasher.Hex();
}

}  // namespace trestle
