// Buffer: plain memory that a step fills and the next step reuses. Unlike a vector it neither
// clears what it hands out nor keeps old contents when it grows, so a steady state touches only
// what it uses.
//
// Thread safety: none of its own; disjoint parts may be written concurrently.
// Ownership: owns its memory, 64-byte aligned (a cache line). Device: host.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

namespace trestle {

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  // `size` elements of undefined content.
  std::span<T> Reset(size_t size) {
    if (size > capacity_) {
      const size_t capacity = size + size / 4;
      capacity_ = size_ = 0;  // should the allocation throw
      data_.reset();          // before the larger one, so that both never exist at once
      data_.reset(static_cast<T*>(::operator new(capacity * sizeof(T), kAlignment)));
      capacity_ = capacity;
    }
    size_ = size;
    return span();
  }

  // Keeps the first `size` elements. Requires size <= size().
  void Truncate(size_t size) { size_ = size; }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }
  std::span<T> span() { return {data_.get(), size_}; }
  std::span<const T> span() const { return {data_.get(), size_}; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace trestle
