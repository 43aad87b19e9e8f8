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
// Thread safety: one thread at a time; a copy of places() is another's to use. Ownership: blocks
// belong to the TableMemory given, which outlives this.
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

// Where the rows are: the blocks, and the arithmetic from a row's number to its place. A copy stays
// good for the rows that were there when it was made.
class RowPlaces {
 public:
  static constexpr size_t kMaxBlockBytes = 1024 * 1024;

  explicit RowPlaces(int row_floats)
      : row_floats_(row_floats),
        max_shift_(MaxShift(row_floats * sizeof(float) + sizeof(RowCounters))),
        min_shift_(std::min(kMinShift, max_shift_)) {}

  RowPlace At(uint32_t row) const {
    const Position p = BlockOf(row);
    char* base = blocks_[p.block];
    return {reinterpret_cast<float*>(base) + size_t{p.offset} * row_floats_,
            reinterpret_cast<RowCounters*>(base + CountersOffset(p.shift)) + p.offset};
  }

  bool HasBlockOf(uint32_t row) const { return BlockOf(row).block < blocks_.size(); }
  size_t BlockBytes(size_t block) const {
    const uint32_t shift =
        std::min(min_shift_ + static_cast<uint32_t>(block >> kBlocksLog2), max_shift_);
    return CountersOffset(shift) + (sizeof(RowCounters) << shift);
  }
  std::vector<char*>& blocks() { return blocks_; }

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

  size_t CountersOffset(uint32_t shift) const {
    const size_t bytes = (row_floats_ * sizeof(float)) << shift;
    return (bytes + alignof(RowCounters) - 1) / alignof(RowCounters) * alignof(RowCounters);
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

  size_t row_floats_;
  uint32_t max_shift_;
  uint32_t min_shift_;
  std::vector<char*> blocks_;
};

class RowBlocks {
 public:
  static constexpr uint32_t kMaxRows = 0xFFFFFF00u;

  RowBlocks(int row_floats, TableMemory* memory) : places_(row_floats), memory_(memory) {}
  ~RowBlocks() {
    for (size_t b = 0; b < places_.blocks().size(); ++b) {
      memory_->Free(places_.blocks()[b], places_.BlockBytes(b));
    }
  }
  RowBlocks(RowBlocks&& other) noexcept
      : places_(std::move(other.places_)),
        memory_(other.memory_),
        size_(std::exchange(other.size_, 0)) {}
  RowBlocks& operator=(RowBlocks&&) = delete;

  uint32_t size() const { return size_; }
  const RowPlaces& places() const { return places_; }
  RowPlace At(uint32_t row) const { return places_.At(row); }

  // Adds a row with zero counters and floats undefined: its number is size() - 1. False: no memory.
  [[nodiscard]] bool Append() {
    if (size_ == kMaxRows) return false;
    if (!places_.HasBlockOf(size_) && !AddBlock()) return false;
    *At(size_).counters = RowCounters{};
    ++size_;
    return true;
  }

 private:
  bool AddBlock() {
    std::vector<char*>& blocks = places_.blocks();
    blocks.push_back(nullptr);
    void* block = memory_->Allocate(places_.BlockBytes(blocks.size() - 1));
    if (block) {
      blocks.back() = static_cast<char*>(block);
    } else {
      blocks.pop_back();
    }
    return block != nullptr;
  }

  RowPlaces places_;
  TableMemory* memory_;
  uint32_t size_ = 0;
};

}  // namespace trestle::embedding
