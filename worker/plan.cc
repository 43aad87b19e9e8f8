#include "worker/plan.h"

#include <glog/logging.h>

#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "base/philox.h"

namespace trestle {
namespace {

__extension__ typedef unsigned __int128 Uint128;

// floor(a * b / c) where the product may pass 64 bits.
int64_t MulDiv(int64_t a, int64_t b, int64_t c) {
  return static_cast<int64_t>(static_cast<Uint128>(a) * static_cast<Uint128>(b) /
                              static_cast<Uint128>(c));
}

// Two 64-bit draws from each Philox block, in sequence.
class Draws {
 public:
  Draws(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  // Uniform in [0, bound).
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<Uint128>(Next()) * bound) >> 64);
  }

 private:
  uint64_t Next() {
    if (used_ == 2) {
      const PhiloxCounter w = Philox(seed_, count_++, stream_);
      pair_[0] = uint64_t{w[0]} | (uint64_t{w[1]} << 32);
      pair_[1] = uint64_t{w[2]} | (uint64_t{w[3]} << 32);
      used_ = 0;
    }
    return pair_[used_++];
  }

  uint64_t seed_, stream_;
  uint64_t count_ = 0;
  uint64_t pair_[2] = {};
  int used_ = 2;
};

uint64_t EpochSeed(const EpochPlan::Options& options) {
  const PhiloxCounter w =
      Philox(DeriveSeed(options.seed, "input/order"), static_cast<uint64_t>(options.segment),
             static_cast<uint64_t>(options.epoch));
  return uint64_t{w[0]} | (uint64_t{w[1]} << 32);
}

constexpr uint64_t kBlockStream = ~uint64_t{0};  // block b's rows use stream b

}  // namespace

std::vector<int32_t> Permutation(int64_t n, uint64_t seed, uint64_t stream) {
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  Draws draws(seed, stream);
  for (int64_t i = n - 1; i > 0; --i) {
    std::swap(order[i], order[draws.Below(static_cast<uint64_t>(i) + 1)]);
  }
  return order;
}

EpochPlan::EpochPlan(std::span<const int64_t> block_rows, const Options& options)
    : options_(options),
      epoch_seed_(EpochSeed(options)),
      block_rows_(block_rows.begin(), block_rows.end()) {
  CHECK_GT(options.batch_rows, 0);
  CHECK_GT(options.lanes, 0);
  const int64_t blocks = static_cast<int64_t>(block_rows_.size());
  if (options.order == SHUFFLE) {
    order_ = Permutation(blocks, epoch_seed_, kBlockStream);
  } else {
    order_.resize(block_rows_.size());
    std::iota(order_.begin(), order_.end(), 0);
  }
  starts_.assign(1, 0);
  for (const int32_t block : order_) starts_.push_back(starts_.back() + block_rows_[block]);
  steps_ = CountSteps();
}

int64_t EpochPlan::LaneBegin(int lane) const { return MulDiv(lane, rows(), options_.lanes); }

// Rows of its own that a SHUFFLE lane has read after so many steps, were it endless.
int64_t EpochPlan::ReadAfter(int lane, int64_t steps) const {
  return static_cast<int64_t>(
      (static_cast<Uint128>(steps) * static_cast<Uint128>(options_.batch_rows) +
       static_cast<Uint128>(lane)) /
      static_cast<Uint128>(options_.lanes));
}

int64_t EpochPlan::CountSteps() const {
  const int64_t batch = options_.batch_rows;
  if (options_.order == TIME) return (rows() + batch - 1) / batch;
  int64_t steps = 0;
  for (int lane = 0; lane < options_.lanes; ++lane) {
    const int64_t rows_of_lane = LaneBegin(lane + 1) - LaneBegin(lane);
    if (rows_of_lane == 0) continue;
    const Uint128 needed =
        static_cast<Uint128>(rows_of_lane) * static_cast<Uint128>(options_.lanes) -
        static_cast<Uint128>(lane);
    steps = std::max(steps, static_cast<int64_t>((needed + static_cast<Uint128>(batch) - 1) /
                                                 static_cast<Uint128>(batch)));
  }
  return steps;
}

RowRange EpochPlan::LaneRange(int lane, int64_t step) const {
  if (options_.order == TIME) {
    const int64_t batch = step * options_.batch_rows;
    return {std::min(batch + MulDiv(lane, options_.batch_rows, options_.lanes), rows()),
            std::min(batch + MulDiv(lane + 1, options_.batch_rows, options_.lanes), rows())};
  }
  const int64_t begin = LaneBegin(lane), end = LaneBegin(lane + 1);
  return {std::min(begin + ReadAfter(lane, step), end),
          std::min(begin + ReadAfter(lane, step + 1), end)};
}

std::vector<BlockPiece> EpochPlan::Pieces(RowRange range) const {
  std::vector<BlockPiece> pieces;
  if (range.size() <= 0) return pieces;
  size_t i = static_cast<size_t>(std::upper_bound(starts_.begin(), starts_.end(), range.begin) -
                                 starts_.begin() - 1);
  for (int64_t at = range.begin; at < range.end; ++i) {
    const int64_t until = std::min(range.end, starts_[i + 1]);
    if (until == at) continue;
    pieces.push_back({order_[i], static_cast<int32_t>(at - starts_[i]),
                      static_cast<int32_t>(until - starts_[i])});
    at = until;
  }
  return pieces;
}

std::vector<int32_t> EpochPlan::RowOrder(int64_t block) const {
  const int64_t n = block_rows_[static_cast<size_t>(block)];
  if (options_.order == SHUFFLE) {
    return Permutation(n, epoch_seed_, static_cast<uint64_t>(block));
  }
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace trestle
