#include "ps/gradient_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace trestle {
namespace {

const FixedUnit kUnit;
const FixedRows kFixed(kUnit);

TEST(FixedRows, ToDoubleRoundsAsTheScalarConversionDoes) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const int64_t x = static_cast<int64_t>(random()) >> (random() % 64);
    ASSERT_EQ(FixedRows::ToDouble(x), static_cast<double>(x)) << x;
  }
  for (const int64_t x : {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(),
                          int64_t{0}, int64_t{-1}, (int64_t{1} << 53) + 1}) {
    EXPECT_EQ(FixedRows::ToDouble(x), static_cast<double>(x)) << x;
  }
}

TEST(FixedRows, FlagsWhatIsNoTerm) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::nanf(""), 2048.0f, -2048.0f, 1e30f, -6144.001f}) {
    for (int at = 0; at < 5; ++at) {
      std::vector<float> x(5, 0.5f);
      std::vector<int64_t> sum(5);
      EXPECT_EQ(kFixed.Add(x.data(), 5, sum.data()), 0u);
      x[static_cast<size_t>(at)] = bad;
      EXPECT_NE(kFixed.Add(x.data(), 5, sum.data()), 0u) << bad;
    }
  }
  const float largest = std::nextafter(2048.0f, 0.0f);
  const std::vector<float> x = {largest, -largest};
  std::vector<int64_t> sum(2);
  EXPECT_EQ(kFixed.Add(x.data(), 2, sum.data()), 0u);
}

TEST(FixedRows, OneLanesSumIsAlwaysAFloat) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200'000; ++i) {
    const float x = std::ldexp(static_cast<float>(static_cast<int32_t>(random())),
                               -21 - static_cast<int>(random() % 40));
    if (!kUnit.IsTerm(x)) continue;
    int64_t sum = 0;
    kFixed.Add(&x, 1, &sum);
    ASSERT_TRUE(kFixed.AreFloats(&sum, 1)) << x;
    float back = 0;
    kFixed.ToFloats(&sum, 1, &back);
    int64_t again = 0;
    kFixed.Add(&back, 1, &again);
    ASSERT_EQ(again, sum) << x;
  }
}

TEST(FixedRows, WhatAFloatCannotHoldIsNoFloat) {
  for (const int64_t sum :
       {(int64_t{1} << 24) + 1, -(int64_t{1} << 40) - 1, int64_t{1} << 51, int64_t{1} << 52,
        int64_t{1} << 60, -(int64_t{1} << 62), std::numeric_limits<int64_t>::max()}) {
    EXPECT_FALSE(kFixed.AreFloats(&sum, 1)) << sum;
  }
  for (const int64_t sum :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1} << 50, -(int64_t{3} << 40)}) {
    EXPECT_TRUE(kFixed.AreFloats(&sum, 1)) << sum;
  }
}

struct Encoded {
  std::vector<int64_t> sums;
  std::vector<uint8_t> narrow;
  int dim;
};

Encoded RandomSums(std::mt19937_64& random) {
  Encoded e;
  e.dim = 1 + static_cast<int>(random() % 20);
  const size_t width = static_cast<size_t>(e.dim);
  e.narrow.resize(random() % 40);
  e.sums.resize(e.narrow.size() * width);
  for (int64_t& sum : e.sums) sum = static_cast<int64_t>(random() % 2000) - 1000;
  for (size_t i = 0; i < e.narrow.size(); ++i) {
    if (random() % 3 == 0)
      e.sums[i * width + random() % width] = static_cast<int64_t>(random()) >> 2;
    e.narrow[i] = kFixed.AreFloats(&e.sums[i * width], e.dim);
  }
  return e;
}

TEST(GradientCodec, RowsOfSeveralTablesComeBackExactly) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::vector<Encoded> tables(1 + random() % 4);
    size_t bytes = 0;
    for (Encoded& e : tables) {
      e = RandomSums(random);
      const size_t narrow = static_cast<size_t>(std::count(e.narrow.begin(), e.narrow.end(), 1));
      bytes += EncodedBytes(e.narrow.size(), narrow, e.dim);
    }
    std::vector<int64_t> storage(bytes / 8 + 1);  // aligned
    auto* const begin = reinterpret_cast<std::byte*>(storage.data());
    std::byte* out = begin;
    for (const Encoded& e : tables) out = EncodeRows(kFixed, e.sums.data(), e.narrow, e.dim, out);
    ASSERT_EQ(static_cast<size_t>(out - begin), bytes);

    size_t at = 0;
    for (const Encoded& e : tables) {
      std::vector<EncodedRow> rows(e.narrow.size());
      auto next = LocateRows({begin, bytes}, at, e.dim, rows);
      ASSERT_TRUE(next.ok()) << next.status().ToString();
      at = *next;
      for (size_t i = 0; i < rows.size(); ++i) {
        std::vector<int64_t> sum(static_cast<size_t>(e.dim));
        AddEncoded(kFixed, rows[i], e.dim, sum.data());
        for (size_t d = 0; d < sum.size(); ++d) EXPECT_EQ(sum[d], e.sums[i * sum.size() + d]);
      }
    }
    EXPECT_EQ(at, bytes);
  }
}

TEST(GradientCodec, AShortMessageIsAnError) {
  std::vector<int64_t> sums = {1, 2, 3, int64_t{1} << 60, 5, 6};
  const std::vector<uint8_t> narrow = {1, 0};
  std::vector<int64_t> storage(16);
  auto* const begin = reinterpret_cast<std::byte*>(storage.data());
  const size_t bytes =
      static_cast<size_t>(EncodeRows(kFixed, sums.data(), narrow, 3, begin) - begin);
  std::vector<EncodedRow> rows(2);
  ASSERT_TRUE(LocateRows({begin, bytes}, 0, 3, rows).ok());
  for (size_t cut = 0; cut < bytes; ++cut) {
    EXPECT_EQ(LocateRows({begin, cut}, 0, 3, rows).status().code(), StatusCode::kInternal) << cut;
  }
}

}  // namespace
}  // namespace trestle
