#include "embedding/image_index.h"

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <random>

namespace trestle::embedding {
namespace {

// Runs of rows, few to many, growing and shrinking.
TEST(ImageIndex, AgreesWithAMapUnderRandomOperations) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    ImageIndex index;
    std::map<uint32_t, uint32_t> model;
    for (int round = 0; round < 60; ++round) {
      const uint32_t more = random() % 100;
      index.Reserve(more);
      const uint32_t begin = random() % 2 ? random() % 1000 : 0xFFFFFF00u - random() % 1000;
      for (uint32_t row = begin; row < begin + more; ++row) {
        if (!model.emplace(row, round * 100 + row % 100).second) continue;
        index.Insert(row, model[row]);
      }
      for (uint64_t i = random() % 150; i > 0 && !model.empty(); --i) {
        auto found = model.lower_bound(static_cast<uint32_t>(random() % 2000));
        if (found == model.end()) found = std::prev(found);
        ASSERT_EQ(index.Take(found->first), found->second);
        model.erase(found);
      }
    }
    for (const auto& [row, image] : model) ASSERT_EQ(index.Take(row), image);
  }
}

TEST(ImageIndex, TheLargestRowNumbersAreNotReserved) {
  ImageIndex index;
  index.Reserve(2);
  index.Insert(0, 5);
  index.Insert(0xFFFFFFFFu, 6);
  EXPECT_EQ(index.Take(0), 5u);
  EXPECT_EQ(index.Take(0xFFFFFFFFu), 6u);
}

}  // namespace
}  // namespace trestle::embedding
