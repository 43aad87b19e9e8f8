// The random numbers of one planted thing (a user, an item, a row), in order: Philox of (seed, what
// it is, which one, how many words before). No state outlives the thing, so any thread can make any
// of them at any time. Logarithms and cosines are the C library's, so bytes are equal where it is.
//
// Thread safety: one thread an object.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

#include "base/hash.h"
#include "base/philox.h"

namespace trestle {

class Draws {
 public:
  // `what` names the kind of thing: "plant/user".
  Draws(uint64_t seed, std::string_view what, int64_t which)
      : seed_(DeriveSeed(seed, what)), which_(static_cast<uint64_t>(which)) {}

  // Uniform in [0, 1) with 53 bits.
  double Uniform() { return static_cast<double>(Next64() >> 11) * 0x1p-53; }
  // Uniform in [0, n); a bias of n / 2^53 at most.
  int64_t Below(int64_t n) {
    return std::min(static_cast<int64_t>(Uniform() * static_cast<double>(n)), n - 1);
  }
  // In [0, n), the first more often than the last: n times the power of a uniform.
  int64_t SkewedBelow(int64_t n, double power) {
    return std::min(static_cast<int64_t>(std::pow(Uniform(), power) * static_cast<double>(n)),
                    n - 1);
  }
  // Exponential of mean 1.
  double Exponential() { return -std::log(1.0 - Uniform()); }
  // Standard normal, by Box and Muller.
  double Normal() {
    const double radius = std::sqrt(2.0 * Exponential());
    return radius * std::cos(2.0 * std::numbers::pi * Uniform());
  }

 private:
  uint64_t Next64() {
    if (word_ == 4) {
      block_ = Philox(seed_, which_, counter_++);
      word_ = 0;
    }
    const uint64_t low = block_[word_], high = block_[word_ + 1];
    word_ += 2;
    return low | high << 32;
  }

  uint64_t seed_;
  uint64_t which_;
  uint64_t counter_ = 0;
  PhiloxCounter block_{};
  int word_ = 4;
};

}  // namespace trestle
