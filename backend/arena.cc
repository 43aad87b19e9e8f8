#include "backend/arena.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace trestle {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kFirstBlock = size_t{1} << 16;

size_t RoundUp(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::byte* AllocateBlock(size_t bytes) {
  void* data = std::aligned_alloc(kAlignment, bytes);
  if (data == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(data);
}

}  // namespace

void Arena::Free::operator()(std::byte* p) const { std::free(p); }

void* Arena::AllocateBytes(size_t bytes) {
  // An empty matrix still gets an address of its own.
  bytes = std::max(RoundUp(bytes), kAlignment);
  if (blocks_.empty() || blocks_.back().size - used_ < bytes) {
    const size_t grown = blocks_.empty() ? kFirstBlock : 2 * blocks_.back().size;
    const size_t size = std::max(bytes, grown);
    blocks_.push_back({std::unique_ptr<std::byte[], Free>(AllocateBlock(size)), size});
    used_ = 0;
  }
  void* result = blocks_.back().data.get() + used_;
  used_ += bytes;
  return result;
}

void Arena::Reset() {
  if (blocks_.size() > 1) {
    const size_t total = capacity_bytes();
    blocks_.clear();
    blocks_.push_back({std::unique_ptr<std::byte[], Free>(AllocateBlock(total)), total});
  }
  used_ = 0;
}

size_t Arena::capacity_bytes() const {
  size_t total = 0;
  for (const Block& block : blocks_) total += block.size;
  return total;
}

}  // namespace trestle
