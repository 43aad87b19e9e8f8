#include "base/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>

namespace trestle {
namespace {

// The vectors that Random123 publishes for philox4x32 with 10 rounds (its kat_vectors).
TEST(Philox, GivesThePublishedVectors) {
  EXPECT_EQ(Philox(PhiloxCounter{0, 0, 0, 0}, PhiloxKey{0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox(PhiloxCounter{kOnes, kOnes, kOnes, kOnes}, PhiloxKey{kOnes, kOnes}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox(PhiloxCounter{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   PhiloxKey{0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, WideFormPlacesSeedAndCoordinatesLowWordFirst) {
  EXPECT_EQ(Philox(0x299f31d0'a4093822, 0x85a308d3'243f6a88, 0x03707344'13198a2e),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EverySingleBitOfTheInputMatters) {
  std::set<PhiloxCounter> seen = {Philox(uint64_t{1}, 2, 3)};
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t flip = uint64_t{1} << bit;
    EXPECT_TRUE(seen.insert(Philox(1 ^ flip, 2, 3)).second) << "seed bit " << bit;
    EXPECT_TRUE(seen.insert(Philox(1, 2 ^ flip, 3)).second) << "first bit " << bit;
    EXPECT_TRUE(seen.insert(Philox(1, 2, 3 ^ flip)).second) << "second bit " << bit;
  }
}

TEST(UniformFloat, CoversTheUnitIntervalWithoutItsEnd) {
  EXPECT_EQ(UniformFloat(0), 0.0f);
  EXPECT_EQ(UniformFloat(0xffffffff), 1.0f - 0x1p-24f);
  EXPECT_EQ(UniformFloat(0x80000000), 0.5f);
  EXPECT_EQ(UniformFloatAboveZero(0), 0x1p-24f);
  EXPECT_EQ(UniformFloatAboveZero(0xffffffff), 1.0f);
}

TEST(UniformFloat, HasTheMomentsOfAUniform) {
  constexpr int kDraws = 100'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    for (const uint32_t word : Philox(uint64_t{7}, static_cast<uint64_t>(i), 0)) {
      const double x = UniformFloat(word);
      sum += x;
      squares += x * x;
    }
  }
  // Standard errors over 400,000 draws: 0.00046 of the mean, 0.00047 of the second moment.
  EXPECT_NEAR(sum / (4 * kDraws), 0.5, 0.002);
  EXPECT_NEAR(squares / (4 * kDraws), 1.0 / 3, 0.002);
}

}  // namespace
}  // namespace trestle
