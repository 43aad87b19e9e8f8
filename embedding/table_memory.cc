#include "embedding/table_memory.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "base/memory.h"

namespace trestle::embedding {
namespace {

constexpr size_t kMaxRegion = size_t{1} << 30;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

// The first kCheckBytes of a table are not worth a look.
bool TableMemory::SystemHas(size_t bytes) {
  const int64_t wanted = held_ + static_cast<int64_t>(bytes);
  if (wanted <= checked_) return true;
  if (static_cast<int64_t>(bytes) + kCheckBytes > AvailableMemoryBytes() - kReserveBytes)
    return false;
  checked_ = wanted + kCheckBytes;
  return true;
}

void* TableMemory::Allocate(size_t bytes) {
  bytes = RoundUp(bytes, kAlignment);
  std::lock_guard lock(mutex_);
  if (void* memory = FromHole(bytes)) return memory;
  if (held_ + static_cast<int64_t>(bytes) > limit_ || !SystemHas(bytes)) return nullptr;
  return bytes < kArenaBytes ? FromHeap(bytes) : FromRegion(bytes);
}

void TableMemory::Free(void* memory, size_t bytes) {
  if (!memory) return;
  bytes = RoundUp(bytes, kAlignment);
  std::lock_guard lock(mutex_);
  if (InRegion(memory)) {
    AddHole(static_cast<char*>(memory), bytes);
    return;
  }
  held_ -= static_cast<int64_t>(bytes);
  ::operator delete (memory, std::align_val_t{kAlignment});
}

int64_t TableMemory::held() const {
  std::lock_guard lock(mutex_);
  return held_;
}

void* TableMemory::FromHole(size_t bytes) {
  for (auto hole = holes_.begin(); hole != holes_.end(); ++hole) {
    if (hole->second < bytes) continue;
    const auto [base, size] = *hole;
    holes_.erase(hole);
    if (size > bytes) holes_.emplace(base + bytes, size - bytes);
    return base;
  }
  return nullptr;
}

void* TableMemory::FromHeap(size_t bytes) {
  void* memory = ::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (memory) held_ += static_cast<int64_t>(bytes);
  return memory;
}

bool TableMemory::InRegion(const void* memory) const {
  return std::any_of(regions_.begin(), regions_.end(), [memory](const Region& region) {
    return memory >= region.memory.get() && memory < region.memory.get() + region.memory.bytes();
  });
}

void* TableMemory::FromRegion(size_t bytes) {
  if (regions_.empty() || regions_.back().left() < bytes) {
    if (!AddRegion(bytes)) return nullptr;
  }
  Region& region = regions_.back();
  char* memory = region.memory.get() + region.used;
  region.used += bytes;
  held_ += static_cast<int64_t>(bytes);
  return memory;
}

// Regions grow with the table, so that a small one maps little and a large one has few.
bool TableMemory::AddRegion(size_t bytes) {
  const size_t size =
      RoundUp(std::max(bytes, std::min(mapped_ / 8, kMaxRegion)), Mapping::kHugePage);
  Mapping memory(size);
  if (!memory.get()) return false;
  if (!regions_.empty()) {
    Region& last = regions_.back();
    if (const size_t left = last.left()) {
      held_ += static_cast<int64_t>(left);
      AddHole(last.memory.get() + last.used, left);
      last.used += left;
    }
  }
  regions_.push_back({std::move(memory), 0});
  mapped_ += size;
  return true;
}

void TableMemory::AddHole(char* base, size_t bytes) {
  auto hole = holes_.emplace(base, bytes).first;
  const auto next = std::next(hole);
  if (next != holes_.end() && hole->first + hole->second == next->first) {
    hole->second += next->second;
    holes_.erase(next);
  }
  if (hole == holes_.begin()) return;
  const auto previous = std::prev(hole);
  if (previous->first + previous->second == hole->first) {
    previous->second += hole->second;
    holes_.erase(hole);
  }
}

}  // namespace trestle::embedding
