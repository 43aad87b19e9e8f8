// RowBlocks: the rows of one segment, in blocks that never move. A row is its weights and then its
// optimizer state, contiguous; its counters lie at the end of the same block.
//
// Blocks grow with the segment, sixteen to a doubling, up to kMaxBlockBytes: a segment of one row
// holds four, a large one wastes at most a sixteenth. A row's place is computed from its number by
// shifts.
//
// Rows are not padded. Where weights and state are a multiple of 16 floats they start on cache
// lines; elsewhere padding would cost more memory than the crossed lines cost time.
//
// Thread safety: one thread at a time. Ownership: blocks belong to the TableMemory given, which
// outlives this.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "embedding/table_memory.h"

namespace trestle::embedding {

// What training knows of a row beside its floats.
struct RowCounters {
  uint64_t occurrences = 0;
  uint64_t samples = 0;
  int64_t last_step = 0;
};

// Where a row's parts are.
struct RowPlace {
  float* floats;  // [dim + state_width]
  RowCounters* counters;
};

class RowBlocks {
 public:
  static constexpr size_t kMaxBlockBytes = 1024 * 1024;
  static constexpr uint32_t kMaxRows = 0xFFFFFF00u;

  RowBlocks(int row_floats, TableMemory* memory)
      : row_floats_(row_floats),
        max_shift_(MaxShift(RowBytes())),
        min_shift_(std::min(kMinShift, max_shift_)),
        memory_(memory) {}
  ~RowBlocks() {
    for (uint32_t b = 0; b < blocks_.size(); ++b) memory_->Free(blocks_[b], BlockBytes(ShiftOf(b)));
  }
  RowBlocks(RowBlocks&& other) noexcept
      : row_floats_(other.row_floats_),
        max_shift_(other.max_shift_),
        min_shift_(other.min_shift_),
        memory_(other.memory_),
        size_(std::exchange(other.size_, 0)),
        blocks_(std::exchange(other.blocks_, {})) {}
  RowBlocks& operator=(RowBlocks&&) = delete;

  uint32_t size() const { return size_; }

  // Adds a row with zero counters and floats undefined: its number is size() - 1. False: no memory.
  [[nodiscard]] bool Append() {
    if (size_ == kMaxRows) return false;
    if (BlockOf(size_).block == blocks_.size() && !AddBlock()) return false;
    *At(size_).counters = RowCounters{};
    ++size_;
    return true;
  }

  RowPlace At(uint32_t row) const {
    const Position p = BlockOf(row);
    char* base = blocks_[p.block];
    return {reinterpret_cast<float*>(base) + size_t{p.offset} * row_floats_,
            reinterpret_cast<RowCounters*>(base + CountersOffset(p.shift)) + p.offset};
  }

 private:
  static constexpr uint32_t kMinShift = 2;    // four rows in the first blocks
  static constexpr uint32_t kBlocksLog2 = 4;  // sixteen blocks of each size
  static constexpr uint32_t kBlocks = 1u << kBlocksLog2;

  struct Position {
    uint32_t block;
    uint32_t offset;
    uint32_t shift;  // log2 of the block's rows
  };

  static uint32_t MaxShift(size_t row_bytes) {
    return std::bit_width(std::max<size_t>(kMaxBlockBytes / row_bytes, 1)) - 1;
  }

  size_t RowBytes() const { return row_floats_ * sizeof(float) + sizeof(RowCounters); }
  size_t CountersOffset(uint32_t shift) const {
    const size_t bytes = (row_floats_ * sizeof(float)) << shift;
    return (bytes + alignof(RowCounters) - 1) / alignof(RowCounters) * alignof(RowCounters);
  }
  size_t BlockBytes(uint32_t shift) const {
    return CountersOffset(shift) + (sizeof(RowCounters) << shift);
  }

  // Shifted up by the rows that sixteen smallest blocks would hold, the numbers of rows in blocks
  // of one size are one octave, and the bits below its top five are the offset.
  Position BlockOf(uint32_t row) const {
    const uint32_t shifted = row + (kBlocks << min_shift_);
    const uint32_t octave = static_cast<uint32_t>(std::bit_width(shifted)) - 1 - kBlocksLog2;
    const uint32_t shift = std::min(octave, max_shift_);
    return {((shift - min_shift_) << kBlocksLog2) + (shifted >> shift) - kBlocks,
            shifted & ((1u << shift) - 1), shift};
  }
  uint32_t ShiftOf(uint32_t block) const {
    return std::min(min_shift_ + (block >> kBlocksLog2), max_shift_);
  }

  bool AddBlock() {
    const uint32_t block = static_cast<uint32_t>(blocks_.size());
    blocks_.push_back(nullptr);
    blocks_[block] = static_cast<char*>(memory_->Allocate(BlockBytes(ShiftOf(block))));
    if (!blocks_[block]) blocks_.pop_back();
    return blocks_.size() > block;
  }

  size_t row_floats_;
  uint32_t max_shift_;
  uint32_t min_shift_;
  TableMemory* memory_;
  uint32_t size_ = 0;
  std::vector<char*> blocks_;
};

}  // namespace trestle::embedding
