// EpochPlan: which rows each lane reads at each step, as a pure function of (seed, segment, epoch,
// step, lane) and the sizes of the blocks; the number of workers is not in it. It knows positions
// in the epoch's order and blocks, no files.
//
// SHUFFLE  the order is a permutation of blocks, and of rows inside each. Lane l of L owns
// positions
//          [l*N/L, (l+1)*N/L). After t steps it has read floor((t*B + l) / L) of them: so a step
//          takes floor(B/L) or ceil(B/L) rows of each lane and exactly B of all (Hermite's
//          identity), also where L does not divide B; at the end lanes run out one after the other.
// TIME     the order is the files'. Step t is positions [t*B, (t+1)*B), lane l takes the share
//          [l*B/L, (l+1)*B/L) of it; positions beyond N are empty.
//
// Both leave lanes of fewer, one or no rows in the last step or two.
//
// Thread safety: immutable. Permutations: Fisher-Yates, draws from Philox by 64-bit multiplication
// (the bias of a draw below n is under n / 2^64).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/data.pb.h"

namespace trestle {

struct RowRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// Rows [begin, end) of a block's own order.
struct BlockPiece {
  int64_t block = 0;
  int32_t begin = 0, end = 0;
};

// A permutation of [0, n) drawn with the key (seed, stream).
std::vector<int32_t> Permutation(int64_t n, uint64_t seed, uint64_t stream);

class EpochPlan {
 public:
  struct Options {
    Order order = SHUFFLE;
    uint64_t seed = 0;
    int64_t segment = 0;
    int64_t epoch = 0;
    int64_t batch_rows = 0;  // > 0
    int lanes = 0;           // > 0
  };
  EpochPlan(std::span<const int64_t> block_rows, const Options& options);

  int64_t rows() const { return starts_.back(); }
  int64_t steps() const { return steps_; }
  // Positions in the epoch's order that the lane reads at that step; empty ranges stand where the
  // lane's next rows are.
  RowRange LaneRange(int lane, int64_t step) const;
  // The pieces of blocks that make up a range, in order; blocks without rows do not occur.
  std::vector<BlockPiece> Pieces(RowRange range) const;
  // Row of the block at each place of the block's own order.
  std::vector<int32_t> RowOrder(int64_t block) const;

 private:
  int64_t LaneBegin(int lane) const;
  int64_t ReadAfter(int lane, int64_t steps) const;
  int64_t CountSteps() const;

  Options options_;
  uint64_t epoch_seed_;
  std::vector<int64_t> block_rows_;
  std::vector<int32_t> order_;   // of blocks
  std::vector<int64_t> starts_;  // [blocks + 1] first position of the i-th block of the order
  int64_t steps_;
};

}  // namespace trestle
