// BeforeImages: rows as they were at a snapshot's mark, kept from the first Push that overwrites
// them until the writer has passed them. Slots of one size in chunks that never move; a slot given
// back is the next one taken.
//
// Thread safety: Take and Give any thread. At from a thread that took the slot or learned of it
// from one that did; what is in a slot is its holder's.
// Errors: Take is false when the system has no memory.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "embedding/mapping.h"
#include "embedding/row_blocks.h"

namespace trestle::embedding {

class BeforeImages {
 public:
  // At most `rows` images at a time.
  BeforeImages(int row_floats, int64_t rows);

  // What an image holds of memory: floats, counters, and its place in the list of free slots.
  int64_t bytes_each() const { return static_cast<int64_t>(stride_ + sizeof(uint32_t)); }
  int64_t taken() const;

  // Fills `images` with the numbers of free slots.
  [[nodiscard]] bool Take(std::span<uint32_t> images);
  void Give(std::span<const uint32_t> images);

  RowPlace At(uint32_t image) const {
    char* base = chunks_[image >> chunk_shift_].get() +
                 (image & ((uint32_t{1} << chunk_shift_) - 1)) * stride_;
    return {reinterpret_cast<float*>(base),
            reinterpret_cast<RowCounters*>(base + stride_) - 1};  // at its end
  }

 private:
  bool AddChunk();  // under mutex_

  const size_t stride_;
  const uint32_t chunk_shift_;   // log2 of the slots in a chunk
  std::vector<Mapping> chunks_;  // as many as there can be, so that it never moves; empty at first
  mutable std::mutex mutex_;
  size_t mapped_ = 0;           // chunks that are there
  std::vector<uint32_t> free_;  // room for all slots, so that Give never allocates
};

}  // namespace trestle::embedding
