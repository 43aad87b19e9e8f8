// Hashes: a bijective mix for integers, XXH3 for bytes, seeds from names.
// Thread safety: pure functions. Device: Mix64 host and device; the rest host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/host_device.h"
#include "base/types.h"

namespace trestle {

// A bijection of 64 bits with full avalanche (splitmix64's finalizer), and its inverse. A key's
// partition, segment and slot come from Mix64(key), so an exported table can show real ids.
TRESTLE_HD inline uint64_t Mix64(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ull;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBull;
  x ^= x >> 31;
  return x;
}
uint64_t Unmix64(uint64_t x);

// XXH3 of bytes with a seed.
uint64_t Hash64(std::span<const std::byte> bytes, uint64_t seed = 0);
uint64_t Hash64(std::string_view text, uint64_t seed = 0);

// XXH3 with 128 bits, of bytes that come in pieces: the checksum of files.
class Hasher128 {
 public:
  Hasher128();
  ~Hasher128();
  Hasher128(Hasher128&&) noexcept;
  Hasher128& operator=(Hasher128&&) noexcept;
  void Update(std::span<const std::byte> bytes);
  std::string Hex() const;  // 32 digits, in the order that `xxhsum -H2` prints

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A hash as messages, files and logs show it: 16 digits.
std::string Hex(uint64_t value);

// XXH3-128 of a whole text, 32 hex digits.
std::string Hash128(std::string_view text);

// The key of a string id in the table with that seed.
inline Key StringKey(std::string_view text, uint64_t table_seed) {
  return Key{Hash64(text, table_seed)};
}

// An independent seed for a named use: the run's seed and a name ("table/cate_id",
// "dropout/mlp.0").
inline uint64_t DeriveSeed(uint64_t seed, std::string_view name) { return Hash64(name, seed); }

}  // namespace trestle
