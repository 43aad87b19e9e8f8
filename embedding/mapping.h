// Mapping: zeroed memory straight from the system, given back to it at the end. From 2 MiB it
// starts at a multiple of that and asks for huge pages: random rows come 3 times as fast as from
// 4 KiB pages. Only what is touched is ever taken.
//
// Thread safety: as a pointer. Ownership: of the memory; movable.
// Errors: an empty one (get() is null) where the system refuses.
#pragma once

#include <cstddef>
#include <utility>

namespace trestle::embedding {

class Mapping {
 public:
  static constexpr size_t kHugePage = size_t{2} << 20;

  Mapping() = default;
  explicit Mapping(size_t bytes);
  ~Mapping();
  Mapping(Mapping&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  char* get() const { return memory_; }
  size_t bytes() const { return bytes_; }  // what was asked for, in whole pages

 private:
  char* memory_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace trestle::embedding
