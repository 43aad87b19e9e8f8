#include "embedding/before_images.h"

#include <glog/logging.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace trestle::embedding {
namespace {

constexpr size_t kMaxChunkBytes = size_t{1} << 20;

size_t Stride(int row_floats) {
  const size_t floats = row_floats * sizeof(float);
  return (floats + alignof(RowCounters) - 1) / alignof(RowCounters) * alignof(RowCounters) +
         sizeof(RowCounters);
}

uint32_t ChunkShift(size_t stride) {
  return static_cast<uint32_t>(std::bit_width(std::max<size_t>(kMaxChunkBytes / stride, 1))) - 1;
}

}  // namespace

BeforeImages::BeforeImages(int row_floats, int64_t rows)
    : stride_(Stride(row_floats)),
      chunk_shift_(ChunkShift(stride_)),
      chunks_((rows + (int64_t{1} << chunk_shift_) - 1) >> chunk_shift_) {}

int64_t BeforeImages::taken() const {
  std::lock_guard lock(mutex_);
  return static_cast<int64_t>((mapped_ << chunk_shift_) - free_.size());
}

bool BeforeImages::Take(std::span<uint32_t> images) {
  std::lock_guard lock(mutex_);
  while (free_.size() < images.size()) {
    if (!AddChunk()) return false;
  }
  std::copy_n(free_.rbegin(), images.size(), images.begin());
  free_.resize(free_.size() - images.size());
  return true;
}

void BeforeImages::Give(std::span<const uint32_t> images) {
  std::lock_guard lock(mutex_);
  free_.insert(free_.end(), images.begin(), images.end());
}

// New slots go below those that were given back, in falling order: the slots touched last are taken
// first, and fresh ones from a chunk's begin.
bool BeforeImages::AddChunk() {
  CHECK_LT(mapped_, chunks_.size()) << "more images than rows";
  const uint32_t count = uint32_t{1} << chunk_shift_;
  const uint64_t begin = uint64_t{mapped_} << chunk_shift_;
  CHECK_LE(begin + count, std::numeric_limits<uint32_t>::max() - 1) << "images without a number";
  Mapping chunk(count * stride_);
  if (!chunk.get()) return false;
  std::vector<uint32_t> free;
  free.reserve((mapped_ + 1) << chunk_shift_);
  for (uint32_t i = count; i > 0; --i) free.push_back(static_cast<uint32_t>(begin) + i - 1);
  free.insert(free.end(), free_.begin(), free_.end());
  free_.swap(free);
  chunks_[mapped_++] = std::move(chunk);
  return true;
}

}  // namespace trestle::embedding
