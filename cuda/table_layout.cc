#include "cuda/table_layout.h"

#include <algorithm>
#include <bit>

#include "cuda/table_steps.h"

namespace trestle::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerMultiprocessor = 8;  // 2,048 threads: all that one holds
constexpr int64_t kMaxLoadNum = 3, kMaxLoadDen = 4;

}  // namespace

TableLayout::TableLayout(int dim, int state_width, int64_t block_bytes)
    : row_floats_((dim + state_width + 3) / 4 * 4) {
  const auto row_bytes = static_cast<int64_t>(sizeof(RowCounters) + sizeof(float) * row_floats_);
  const auto rows = static_cast<uint64_t>(std::max<int64_t>(block_bytes / row_bytes, 1));
  row_bits_ = std::bit_width(rows) - 1;
}

int64_t TableLayout::floats_offset() const {
  return block_rows() * static_cast<int64_t>(sizeof(RowCounters));
}

int64_t TableLayout::block_bytes() const {
  return floats_offset() + block_rows() * row_floats_ * static_cast<int64_t>(sizeof(float));
}

int64_t SlotsFor(int64_t rows, int64_t slots) {
  slots = std::max(slots, kLeastSlots);
  while (rows * kMaxLoadDen > slots * kMaxLoadNum) slots *= 2;
  return slots;
}

int64_t IndexBytes(int64_t slots) {
  return (slots + 1) * static_cast<int64_t>(sizeof(uint64_t) + sizeof(uint32_t));
}

LaunchShape ShapeFor(int64_t n, int tile, int multiprocessors) {
  const int64_t per_block = kThreads / tile;
  const int64_t wanted = (n + per_block - 1) / per_block;
  const int64_t most = int64_t{kBlocksPerMultiprocessor} * std::max(multiprocessors, 1);
  return {static_cast<unsigned>(std::clamp<int64_t>(wanted, 1, most)), kThreads};
}

}  // namespace trestle::cuda
