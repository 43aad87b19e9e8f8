// Initializers: how a new row starts. Element d of key k is a pure function of (seed, k, d), so the
// value does not depend on when, where or on how many servers the row is created.
//
// One Philox call gives four words, used for elements 4q .. 4q+3; the counter is (key, q) and, in
// the rare redraws of the truncated normal, the attempt in the upper half of q's word.
//
// Thread safety: pure functions of immutable values. Device: host and device.
// Source: Box and Muller, "A note on the generation of random normal deviates", 1958;
// MODELS.md 1.10.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"
#include "base/philox.h"

namespace trestle::embedding {

TRESTLE_HD inline PhiloxCounter ElementWords(uint64_t seed, uint64_t key, uint32_t quad,
                                             uint32_t attempt) {
  return Philox(seed, key, uint64_t{attempt} << 32 | quad);
}

// Calls value_of(quad) -> struct of four floats, and stores the first `dim` of all.
template <class Quad>
TRESTLE_HD inline void FillByQuads(int dim, float* out, const Quad& quad) {
  float four[4];
  for (int d = 0; d < dim; d += 4) {
    quad(static_cast<uint32_t>(d / 4), four);
    const int n = dim - d < 4 ? dim - d : 4;
    for (int i = 0; i < n; ++i) out[d + i] = four[i];
  }
}

// Four standard normals of four words. The largest magnitude is sqrt(-2 ln 2^-24) = 5.77.
TRESTLE_HD inline void BoxMuller(const PhiloxCounter& words, float* z) {
  constexpr float kTwoPi = 6.28318530717958647692f;
  for (int i = 0; i < 4; i += 2) {
    const float radius = std::sqrt(-2.0f * std::log(UniformFloatAboveZero(words[i])));
    const float angle = kTwoPi * UniformFloat(words[i + 1]);
    z[i] = radius * std::cos(angle);
    z[i + 1] = radius * std::sin(angle);
  }
}

struct ConstantInit {
  float value;
  TRESTLE_HD void Fill(uint64_t, uint64_t, int dim, float* out) const {
    for (int d = 0; d < dim; ++d) out[d] = value;
  }
};

// Uniform in [low, high).
struct UniformInit {
  float low;
  float high;
  TRESTLE_HD void Fill(uint64_t seed, uint64_t key, int dim, float* out) const {
    const float width = high - low;
    const float last = std::nextafter(high, low);  // low + u * width may round up to high
    FillByQuads(dim, out, [&](uint32_t quad, float* four) {
      const PhiloxCounter words = ElementWords(seed, key, quad, 0);
      for (int i = 0; i < 4; ++i) {
        const float x = low + UniformFloat(words[i]) * width;
        four[i] = x < last ? x : last;
      }
    });
  }
};

struct NormalInit {
  float mean;
  float std;
  TRESTLE_HD void Fill(uint64_t seed, uint64_t key, int dim, float* out) const {
    FillByQuads(dim, out, [&](uint32_t quad, float* four) {
      BoxMuller(ElementWords(seed, key, quad, 0), four);
      for (int i = 0; i < 4; ++i) four[i] = mean + std * four[i];
    });
  }
};

// Normal, redrawn while beyond two standard deviations (4.6 % of draws). After kMaxDraws, which one
// element in 10^21 reaches, it is clamped, so that the loop has a bound.
struct TruncatedNormalInit {
  static constexpr uint32_t kMaxDraws = 16;
  static constexpr float kBound = 2.0f;
  float mean;
  float std;

  TRESTLE_HD void Fill(uint64_t seed, uint64_t key, int dim, float* out) const {
    FillByQuads(dim, out, [&](uint32_t quad, float* four) {
      DrawWithin(seed, key, quad, four);
      for (int i = 0; i < 4; ++i) four[i] = mean + std * four[i];
    });
  }

 private:
  TRESTLE_HD static void DrawWithin(uint64_t seed, uint64_t key, uint32_t quad, float* four) {
    BoxMuller(ElementWords(seed, key, quad, 0), four);
    for (int i = 0; i < 4; ++i) {
      float again[4];
      for (uint32_t attempt = 1; std::fabs(four[i]) > kBound && attempt < kMaxDraws; ++attempt) {
        BoxMuller(ElementWords(seed, key, quad, attempt), again);
        four[i] = again[i];
      }
      four[i] = std::fmin(std::fmax(four[i], -kBound), kBound);
    }
  }
};

}  // namespace trestle::embedding
