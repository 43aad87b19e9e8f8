#include "worker/plan.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace trestle {
namespace {

std::vector<int64_t> Positions(const EpochPlan& plan, int lanes) {
  std::vector<int64_t> all;
  for (int64_t step = 0; step < plan.steps(); ++step) {
    for (int lane = 0; lane < lanes; ++lane) {
      const RowRange range = plan.LaneRange(lane, step);
      EXPECT_LE(range.begin, range.end);
      for (int64_t p = range.begin; p < range.end; ++p) all.push_back(p);
    }
  }
  return all;
}

TEST(EpochPlan, EveryPositionIsDealtOnce) {
  std::mt19937 random(20240607);
  for (int round = 0; round < 300; ++round) {
    const int lanes = 1 + static_cast<int>(random() % 9);
    const int64_t batch = 1 + static_cast<int64_t>(random() % 40);
    std::vector<int64_t> blocks(random() % 6);
    for (int64_t& rows : blocks) rows = static_cast<int64_t>(random() % 50);
    for (const Order order : {SHUFFLE, TIME}) {
      const EpochPlan plan(blocks, {order, 7, 0, 0, batch, lanes});
      std::vector<int64_t> all = Positions(plan, lanes);
      if (order == TIME) {
        EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
      }
      std::sort(all.begin(), all.end());
      std::vector<int64_t> expected(static_cast<size_t>(plan.rows()));
      std::iota(expected.begin(), expected.end(), 0);
      ASSERT_EQ(all, expected) << "round " << round << ", batch " << batch << ", lanes " << lanes;
    }
  }
}

TEST(EpochPlan, FullBatchesHaveExactlyTheirRowsAndLanesDifferByOne) {
  const std::vector<int64_t> blocks = {1000, 1000, 500};
  for (const auto& [batch, lanes] : std::vector<std::pair<int64_t, int>>{{10, 4}, {7, 7}, {3, 5}}) {
    for (const Order order : {SHUFFLE, TIME}) {
      const EpochPlan plan(blocks, {order, 7, 0, 0, batch, lanes});
      for (int64_t step = 0; step + 2 < plan.steps(); ++step) {
        int64_t rows = 0;
        for (int lane = 0; lane < lanes; ++lane) {
          const int64_t size = plan.LaneRange(lane, step).size();
          EXPECT_GE(size, batch / lanes);
          EXPECT_LE(size, (batch + lanes - 1) / lanes);
          rows += size;
        }
        EXPECT_EQ(rows, batch);
      }
    }
  }
}

TEST(EpochPlan, PiecesCoverARangeInTheOrderOfBlocks) {
  const std::vector<int64_t> blocks = {3, 0, 5, 2};
  const EpochPlan plan(blocks, {TIME, 0, 0, 0, 4, 1});
  const auto pieces = plan.Pieces({2, 9});
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].block, 0);
  EXPECT_EQ(pieces[0].begin, 2);
  EXPECT_EQ(pieces[1].block, 2);
  EXPECT_EQ(pieces[1].end, 5);
  EXPECT_EQ(pieces[2].block, 3);
  EXPECT_EQ(pieces[2].end, 1);
  EXPECT_TRUE(plan.Pieces({4, 4}).empty());
}

TEST(EpochPlan, OrderDependsOnSeedSegmentAndEpochOnly) {
  const std::vector<int64_t> blocks(40, 30);
  const auto order = [&](uint64_t seed, int64_t segment, int64_t epoch) {
    const EpochPlan plan(blocks, {SHUFFLE, seed, segment, epoch, 8, 2});
    std::vector<int64_t> rows;
    for (const BlockPiece& piece : plan.Pieces({0, plan.rows()})) {
      for (const int32_t row : plan.RowOrder(piece.block)) rows.push_back(piece.block * 30 + row);
    }
    return rows;
  };
  const auto base = order(1, 0, 0);
  EXPECT_EQ(base, order(1, 0, 0));
  const std::set<std::vector<int64_t>> different = {base, order(2, 0, 0), order(1, 1, 0),
                                                    order(1, 0, 1)};
  EXPECT_EQ(different.size(), 4u);
}

// Each of the 24 orders of four items about as often as the others: chi-squared with 23 degrees of
// freedom is above 60 once in 40,000 times; the seeds are fixed.
TEST(Permutation, IsUniform) {
  std::map<std::vector<int32_t>, int> counts;
  const int draws = 24'000;
  for (int i = 0; i < draws; ++i) ++counts[Permutation(4, 99, static_cast<uint64_t>(i))];
  EXPECT_EQ(counts.size(), 24u);
  double chi = 0;
  for (const auto& [order, count] : counts) chi += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi, 60);
  EXPECT_TRUE(Permutation(0, 1, 1).empty());
  EXPECT_EQ(Permutation(1, 1, 1), std::vector<int32_t>{0});
}

}  // namespace
}  // namespace trestle
