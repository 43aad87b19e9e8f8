#include "backend/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

namespace trestle {
namespace {

TEST(Arena, PiecesAreAlignedAndDoNotOverlap) {
  Arena arena;
  std::set<std::pair<uintptr_t, uintptr_t>> taken;
  for (int i = 0; i < 2000; ++i) {
    const int64_t count = i % 97;
    auto* p = arena.Allocate<float>(count);
    std::memset(p, i, count * sizeof(float));
    const auto begin = reinterpret_cast<uintptr_t>(p);
    EXPECT_EQ(begin % 64, 0u);
    taken.insert({begin, begin + std::max<size_t>(1, count * sizeof(float))});
  }
  ASSERT_EQ(taken.size(), 2000u);
  uintptr_t end = 0;
  for (const auto& [b, e] : taken) {
    EXPECT_GE(b, end);
    end = e;
  }
}

TEST(Arena, SteadyStateAllocatesNothing) {
  Arena arena;
  auto lane = [&] {
    for (int i = 0; i < 10; ++i) arena.Allocate<double>(50'000);
  };
  lane();
  arena.Reset();
  const size_t capacity = arena.capacity_bytes();
  EXPECT_GE(capacity, 10 * 50'000 * sizeof(double));
  void* first = nullptr;
  for (int repeat = 0; repeat < 3; ++repeat) {
    void* p = arena.AllocateBytes(8);
    EXPECT_TRUE(first == nullptr || p == first);
    first = p;
    arena.Reset();
    lane();
    arena.Reset();
    EXPECT_EQ(arena.capacity_bytes(), capacity);
  }
}

}  // namespace
}  // namespace trestle
