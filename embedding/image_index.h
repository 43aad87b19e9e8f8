// ImageIndex: from a row's number in its segment to its before-image. Open addressing with linear
// probing. Only rows that have an image are looked for, so that a search need not end at an empty
// slot, and taking one out leaves nothing behind.
//
// Thread safety: one thread at a time. Errors: std::bad_alloc of Reserve, contents as before.
#pragma once

#include <glog/logging.h>

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace trestle::embedding {

class ImageIndex {
 public:
  static constexpr int64_t kBytesEach = 24;  // at a load of a third, just after it grew

  // Makes room for `more` images. After it, that many calls of Insert do not allocate.
  void Reserve(uint32_t more) {
    const uint64_t slots = std::bit_ceil(uint64_t{size_ + more} * 3 / 2 + 1);
    if (slots > entries_.size()) Rehash(slots);
  }

  // Requires room, and a row that has no image.
  void Insert(uint32_t row, uint32_t image) {
    uint64_t slot = Home(row);
    while (entries_[slot].image != kNone) slot = Next(slot);
    entries_[slot] = {row, image};
    ++size_;
  }

  // Forgets and returns the row's image. Requires that it has one.
  uint32_t Take(uint32_t row) {
    uint64_t slot = Home(row);
    for (uint64_t n = 0; entries_[slot].row != row || entries_[slot].image == kNone; ++n) {
      CHECK_LT(n, entries_.size()) << "row " << row << " has no image";
      slot = Next(slot);
    }
    --size_;
    return std::exchange(entries_[slot].image, kNone);
  }

 private:
  static constexpr uint32_t kNone = ~0u;
  struct Entry {
    uint32_t row = 0;
    uint32_t image = kNone;
  };

  // Fibonacci hashing: rows come in runs.
  uint64_t Home(uint32_t row) const {
    return (row * 0x9E3779B97F4A7C15ull >> 32) * entries_.size() >> 32;
  }
  uint64_t Next(uint64_t slot) const { return (slot + 1) & (entries_.size() - 1); }

  void Rehash(uint64_t slots) {
    std::vector<Entry> old(slots);
    old.swap(entries_);
    size_ = 0;
    for (const Entry& entry : old) {
      if (entry.image != kNone) Insert(entry.row, entry.image);
    }
  }

  std::vector<Entry> entries_;  // a power of two of them
  uint32_t size_ = 0;
};

}  // namespace trestle::embedding
