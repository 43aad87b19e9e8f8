#include "embedding/mapping.h"

#include <sys/mman.h>

#include <cstdint>

namespace trestle::embedding {
namespace {

constexpr size_t kPage = 4096;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

char* Map(size_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<char*>(mapped);
}

// Maps at a multiple of 2 MiB: maps more, gives back both ends.
char* MapAligned(size_t bytes) {
  char* begin = Map(bytes + Mapping::kHugePage);
  if (!begin) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(begin);
  const size_t head = RoundUp(address, Mapping::kHugePage) - address;
  if (head > 0) munmap(begin, head);
  if (head < Mapping::kHugePage) munmap(begin + head + bytes, Mapping::kHugePage - head);
  // Advice only: where the kernel offers no huge pages the table is slower, not wrong.
  madvise(begin + head, bytes, MADV_HUGEPAGE);
  return begin + head;
}

}  // namespace

Mapping::Mapping(size_t bytes) : bytes_(RoundUp(bytes, kPage)) {
  if (bytes_ == 0) return;
  memory_ = bytes_ < kHugePage ? Map(bytes_) : MapAligned(bytes_);
  if (!memory_) bytes_ = 0;
}

Mapping::~Mapping() {
  if (memory_) munmap(memory_, bytes_);
}

}  // namespace trestle::embedding
