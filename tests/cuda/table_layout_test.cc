// The numbers of a table in GPU memory.
#include "cuda/table_layout.h"

#include <gtest/gtest.h>

#include "cuda/table_steps.h"

namespace trestle::cuda {
namespace {

TEST(TableLayout, BlocksHoldAPowerOfTwoOfRowsAndStayBelowTheirSize) {
  for (const int dim : {1, 8, 13, 64, 128}) {
    for (const int state : {0, 1, dim, 2 * dim}) {
      const TableLayout layout(dim, state);
      EXPECT_GE(layout.row_floats(), dim + state);
      EXPECT_LT(layout.row_floats(), dim + state + 4);
      EXPECT_EQ(layout.row_floats() % 4, 0) << "rows begin at 16 bytes";
      EXPECT_LE(layout.block_bytes(), kBlockBytes);
      EXPECT_GT(layout.block_bytes(), kBlockBytes / 2 - 4096);
      EXPECT_EQ(layout.block_rows(), int64_t{1} << layout.row_bits());
    }
  }
}

TEST(TableLayout, RowsFillBlocksOneAfterTheOther) {
  const TableLayout layout(8, 8, 4096);
  const int64_t rows = layout.block_rows();
  EXPECT_EQ(layout.BlocksFor(0), 0);
  EXPECT_EQ(layout.BlocksFor(1), 1);
  EXPECT_EQ(layout.BlocksFor(rows), 1);
  EXPECT_EQ(layout.BlocksFor(rows + 1), 2);
}

TEST(TableLayout, ARowBeyondABlockHasOneOfItsOwn) {
  const TableLayout layout(4096, 4096, 4096);
  EXPECT_EQ(layout.block_rows(), 1);
  EXPECT_EQ(layout.block_bytes(), int64_t{32} + 4 * 8192);
}

TEST(TableLayout, TheIndexDoublesBeforeThreeQuartersAreTaken) {
  EXPECT_EQ(SlotsFor(0, 0), kLeastSlots);
  EXPECT_EQ(SlotsFor(768, 1024), 1024);
  EXPECT_EQ(SlotsFor(769, 1024), 2048);
  EXPECT_EQ(SlotsFor(1'000'000, 1024), 2'097'152);
  EXPECT_EQ(SlotsFor(10, 4096), 4096) << "it never shrinks";
}

TEST(TableLayout, LaunchesCoverAllElementsWithinTheDevice) {
  const LaunchShape one = ShapeFor(1, 8, 132);
  EXPECT_EQ(one.blocks, 1u);
  EXPECT_EQ(one.threads, 256u);
  EXPECT_EQ(ShapeFor(32, 8, 132).blocks, 1u);
  EXPECT_EQ(ShapeFor(33, 8, 132).blocks, 2u);
  EXPECT_EQ(ShapeFor(int64_t{1} << 40, 8, 132).blocks, 8u * 132u) << "the rest by strides";
}

}  // namespace
}  // namespace trestle::cuda
