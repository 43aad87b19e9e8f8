#include "base/hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <set>
#include <string>

#include "base/philox.h"

namespace trestle {
namespace {

uint64_t RandomWord(uint64_t i) {
  const PhiloxCounter words = Philox(uint64_t{11}, i, 0);
  return uint64_t{words[1]} << 32 | words[0];
}

TEST(Mix64, GivesTheValuesOfSplitmix64) {
  // splitmix64 from state 0 adds the golden ratio first, then applies this mix; its first two
  // outputs.
  EXPECT_EQ(Mix64(0x9E3779B97F4A7C15ull), 0xE220A8397B1DCDAFull);
  EXPECT_EQ(Mix64(2 * 0x9E3779B97F4A7C15ull), 0x6E789E6AA1B965F4ull);
}

TEST(Mix64, IsABijection) {
  for (uint64_t i = 0; i < 100'000; ++i) {
    const uint64_t x = RandomWord(i);
    ASSERT_EQ(Unmix64(Mix64(x)), x);
    ASSERT_EQ(Mix64(Unmix64(x)), x);
    ASSERT_EQ(Unmix64(Mix64(i)), i);
  }
  for (int bit = 0; bit < 64; ++bit) {
    for (const uint64_t x : {uint64_t{1} << bit, ~(uint64_t{1} << bit), (uint64_t{1} << bit) - 1}) {
      ASSERT_EQ(Unmix64(Mix64(x)), x);
    }
  }
}

TEST(Mix64, FlippingOneBitFlipsHalfOfTheOutput) {
  for (int bit = 0; bit < 64; ++bit) {
    int flipped = 0;
    for (uint64_t i = 0; i < 1000; ++i) {
      const uint64_t x = RandomWord(i);
      flipped += std::popcount(Mix64(x) ^ Mix64(x ^ (uint64_t{1} << bit)));
    }
    EXPECT_NEAR(flipped / 1000.0, 32.0, 1.5) << "bit " << bit;
  }
}

TEST(Hash64, GivesXxh3sValues) {
  EXPECT_EQ(Hash64("", 0),
            0x2D06800538D394C2ull);  // XXH3_64bits of nothing, from its specification
  EXPECT_NE(Hash64("a", 0), Hash64("a", 1));
  EXPECT_NE(Hash64("a", 0), Hash64("b", 0));
}

TEST(Hash64, OfTextIsThatOfItsBytes) {
  const std::string text("with\0nul", 8);
  EXPECT_EQ(Hash64(text, 5), Hash64(std::as_bytes(std::span(text)), 5));
  EXPECT_NE(Hash64(text, 5), Hash64(std::string("with"), 5));
}

TEST(Hex, HasSixteenDigits) {
  EXPECT_EQ(Hex(0), "0000000000000000");
  EXPECT_EQ(Hex(0x0123456789ABCDEFull), "0123456789abcdef");
  EXPECT_EQ(Hex(~uint64_t{0}), "ffffffffffffffff");
}

TEST(StringKey, DependsOnTheTable) {
  EXPECT_EQ(StringKey("brand", 1), StringKey("brand", 1));
  EXPECT_NE(StringKey("brand", 1), StringKey("brand", 2));
}

TEST(DeriveSeed, GivesEachNameItsOwn) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (const std::string name : {"table/a", "table/b", "dropout/mlp.0", ""}) {
      EXPECT_TRUE(seeds.insert(DeriveSeed(seed, name)).second) << seed << " " << name;
    }
  }
}

}  // namespace
}  // namespace trestle
