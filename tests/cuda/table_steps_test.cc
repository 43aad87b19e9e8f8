// The steps that no table of the host interface calls yet: pooling, and sums of gradients.
#include "cuda/table_steps.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/host_kernels.h"

namespace trestle::cuda {
namespace {

constexpr int kDim = 5;

// Rows 0, 1, 2, ... whose weights are row + d / 8, in blocks of four rows.
class SomeRows {
 public:
  explicit SomeRows(int rows) {
    const int64_t offset = 4 * static_cast<int64_t>(sizeof(RowCounters));
    for (int row = 0; row < rows; ++row) {
      if (row % 4 == 0) {
        memory_.emplace_back(static_cast<size_t>(offset) / sizeof(float) + 4 * 8);
      }
    }
    for (auto& block : memory_) blocks_.push_back(reinterpret_cast<char*>(block.data()));
    view = {blocks_.data(), 2, 8, offset};
    for (int row = 0; row < rows; ++row) {
      for (int d = 0; d < kDim; ++d) {
        view.Floats(static_cast<uint32_t>(row))[d] = static_cast<float>(row) + 0.125f * d;
      }
    }
  }
  RowsView view;

 private:
  std::vector<std::vector<float>> memory_;
  std::vector<char*> blocks_;
};

TEST(TableSteps, PoolingSumsABagsRowsInTheOrderOfItsItems) {
  const SomeRows rows(9);
  const std::vector<uint32_t> found = {7, kAbsentRow, 2};  // of three unique keys
  const std::vector<int64_t> offsets = {0, 3, 3, 5};
  const std::vector<uint32_t> items = {0, 2, 0, 1, 1};
  for (const bool mean : {false, true}) {
    std::vector<float> out(3 * kDim, -1.0f);
    const PoolRows step{rows.view,    kDim,         mean,      offsets.data(),
                        items.data(), found.data(), out.data()};
    ASSERT_TRUE(HostKernels().Run(step, 3, {}).ok());
    for (int d = 0; d < kDim; ++d) {
      const float sum = 7 + 2 + 7 + 3 * 0.125f * d;
      EXPECT_EQ(out[d], mean ? sum * (1.0f / 3.0f) : sum);
      EXPECT_EQ(out[kDim + d], 0.0f) << "an empty bag";
      EXPECT_EQ(out[2 * kDim + d], 0.0f) << "absent rows";
    }
  }
}

TEST(TableSteps, SumsOfGradientsAreTheSameInAnyOrderAndExcessIsSeen) {
  constexpr int kUnique = 7, kTerms = 2000;
  std::mt19937_64 random(3);
  std::vector<uint32_t> unique(kTerms);
  std::vector<float> gradients(kTerms * kDim);
  for (uint32_t& u : unique) u = static_cast<uint32_t>(random() % kUnique);
  for (float& g : gradients) g = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  const FixedUnit unit;
  std::vector<uint64_t> expected(kUnique * kDim), sums(kUnique * kDim);
  for (int i = kTerms - 1; i >= 0; --i) {  // in another order
    for (int d = 0; d < kDim; ++d) {
      expected[unique[i] * kDim + d] +=
          static_cast<uint64_t>(unit.ToFixed(gradients[i * kDim + d]));
    }
  }
  uint64_t excess = 0;
  const AddGradients step{unit, kDim, gradients.data(), unique.data(), sums.data(), &excess};
  ASSERT_TRUE(HostKernels().Run(step, kTerms, {}).ok());
  EXPECT_EQ(sums, expected);
  EXPECT_EQ(excess, 0u);

  gradients[17] = 3000.0f;
  ASSERT_TRUE(HostKernels().Run(step, kTerms, {}).ok());
  EXPECT_NE(excess, 0u);
}

// Many threads claim slots of few windows; every key must be found again.
TEST(TableSteps, KeysThatMeetInAWindowAllFindAPlace) {
  constexpr uint64_t kSlots = 4096, kKeys = 3000;
  std::vector<uint64_t> slots(kSlots + 1, kFreeSlot);
  std::vector<uint32_t> numbers(kSlots + 1, kAbsentRow);
  const IndexView index{slots.data(), numbers.data(), kSlots};
  const int threads = 4;
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (uint64_t k = static_cast<uint64_t>(t); k < kKeys; k += threads) {
        InsertRow(OneThread(), index, k % 64 + (k << 20), static_cast<uint32_t>(k));  // 8 windows
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  for (uint64_t k = 0; k < kKeys; ++k) {
    ASSERT_EQ(FindRow(OneThread(), index, k % 64 + (k << 20)), k);
  }
  EXPECT_EQ(FindRow(OneThread(), index, 1 + (kKeys << 20)), kAbsentRow);
}

}  // namespace
}  // namespace trestle::cuda
