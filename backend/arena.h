// Arena: the memory of one lane's step. Tensors are bumped from it and it is reset, not freed, so a
// steady state allocates nothing. Thread safety: none; one arena a thread. Device: host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace trestle {

class Arena {
 public:
  // Room for `count` values of T, 64-byte aligned, uninitialized, valid until Reset.
  template <class T>
  T* Allocate(int64_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(AllocateBytes(static_cast<size_t>(count) * sizeof(T)));
  }
  void* AllocateBytes(size_t bytes);
  // Forgets all; keeps the memory, as one block large enough for what was used.
  void Reset();
  size_t capacity_bytes() const;

 private:
  struct Free { void operator()(std::byte* p) const; };
  struct Block { std::unique_ptr<std::byte[], Free> data; size_t size = 0; };
  std::vector<Block> blocks_;
  size_t used_ = 0;  // of the last block
};

}  // namespace trestle
