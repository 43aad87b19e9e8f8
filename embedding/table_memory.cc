#include "embedding/table_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#include <new>

#include "base/memory.h"

namespace trestle::embedding {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kMaxRegion = size_t{1} << 30;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Maps `bytes` at a multiple of 2 MiB: maps more, gives back both ends.
char* MapAligned(size_t bytes) {
  void* mapped = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* begin = static_cast<char*>(mapped);
  const size_t head =
      RoundUp(reinterpret_cast<uintptr_t>(begin), kHugePage) - reinterpret_cast<uintptr_t>(begin);
  if (head > 0) munmap(begin, head);
  if (head < kHugePage) munmap(begin + head + bytes, kHugePage - head);
  // Advice only: where the kernel offers no huge pages the table is slower, not wrong.
  madvise(begin + head, bytes, MADV_HUGEPAGE);
  return begin + head;
}

}  // namespace

TableMemory::~TableMemory() {
  for (const Region& region : regions_) munmap(region.base, region.bytes);
}

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
    return memory >= region.base && memory < region.base + region.bytes;
  });
}

void* TableMemory::FromRegion(size_t bytes) {
  if (regions_.empty() || regions_.back().bytes - regions_.back().used < bytes) {
    if (!AddRegion(bytes)) return nullptr;
  }
  Region& region = regions_.back();
  char* memory = region.base + region.used;
  region.used += bytes;
  held_ += static_cast<int64_t>(bytes);
  return memory;
}

// Regions grow with the table, so that a small one maps little and a large one has few.
bool TableMemory::AddRegion(size_t bytes) {
  const size_t size = RoundUp(std::max(bytes, std::min(mapped_ / 8, kMaxRegion)), kHugePage);
  char* base = MapAligned(size);
  if (!base) return false;
  if (!regions_.empty()) {
    Region& last = regions_.back();
    if (last.bytes > last.used) {
      held_ += static_cast<int64_t>(last.bytes - last.used);
      AddHole(last.base + last.used, last.bytes - last.used);
      last.used = last.bytes;
    }
  }
  regions_.push_back({base, size, 0});
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
