// TableLayout: the numbers of a table in GPU memory: where a row's floats and counters are in its
// block, how many slots the index has for so many rows, in how many threads a kernel is launched.
//
// Rows lie in blocks that never move: a block is one allocation of about kBlockBytes, of a power of
// two of rows, so that a row's place is a shift and a mask. In it come first the counters of all
// rows, then their floats, weights and state side by side.
//
// The index holds a slot for each row and room: it doubles once rows are more than kMaxLoad of its
// slots, counted before a batch is inserted. So inserting into a table that is "full" costs what it
// costs in one that is half full, but for the call that grows it.
//
// Thread safety: pure functions and plain values. Device: host.
#pragma once

#include <cstdint>

namespace trestle::cuda {

inline constexpr int64_t kBlockBytes = int64_t{4} << 20;
inline constexpr int64_t kLeastSlots = 1024;
inline constexpr int64_t kMostRows = 0xFFFF'FFFE;  // a row's number is 32 bits, and one says absent

class TableLayout {
 public:
  TableLayout(int dim, int state_width, int64_t block_bytes = kBlockBytes);

  int row_floats() const { return row_floats_; }  // weights, state, padding to 16 bytes
  int64_t block_rows() const { return int64_t{1} << row_bits_; }
  int row_bits() const { return row_bits_; }
  int64_t floats_offset() const;  // bytes from a block's start
  int64_t block_bytes() const;
  int64_t BlocksFor(int64_t rows) const { return (rows + block_rows() - 1) >> row_bits_; }

 private:
  int row_floats_;
  int row_bits_;
};

// Slots of an index of `slots` once it holds `rows`: the same, or the next doubling that has room.
int64_t SlotsFor(int64_t rows, int64_t slots);
// 12 bytes a slot, and one slot beyond them.
int64_t IndexBytes(int64_t slots);

// Threads of a kernel that gives `tile` threads to each of n elements and walks on with a stride.
struct LaunchShape {
  unsigned blocks = 0;
  unsigned threads = 0;
};
LaunchShape ShapeFor(int64_t n, int tile, int multiprocessors);

}  // namespace trestle::cuda
