// TableMemory: where one table's index and rows live. It counts every byte, holds a limit, and puts
// what is large on huge pages: random rows come 3 times as fast as from 4 KiB pages.
//
// Requests below kArenaBytes come from the heap, so a table of ten rows costs kilobytes. Larger
// ones are cut from regions mapped 2 MiB aligned; only what is cut is ever touched. What is freed
// (an index that grew) is cut again for rows: first fit over the holes, neighbours joined.
//
// Thread safety: any thread; a lock is taken only when an index or a row block is allocated.
// Ownership: memory is the table's until Free or the end of this object (regions; heap memory must
// be freed). Errors: Allocate returns null at the limit, and when the system has no more: mapping
// memory always succeeds on Linux, and a process that then touches too much of it is killed, so
// what the system has available is asked for every kCheckBytes, and kReserveBytes of it stay
// untouched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "embedding/mapping.h"

namespace trestle::embedding {

class TableMemory {
 public:
  static constexpr size_t kAlignment = 64;
  static constexpr size_t kArenaBytes = 16 * 1024;
  static constexpr int64_t kCheckBytes = int64_t{64} << 20;
  static constexpr int64_t kReserveBytes = int64_t{256} << 20;

  explicit TableMemory(int64_t limit_bytes) : limit_(limit_bytes) {}
  TableMemory(const TableMemory&) = delete;
  TableMemory& operator=(const TableMemory&) = delete;

  // `bytes` at an address that is a multiple of kAlignment, contents undefined; null if there is no
  // more.
  [[nodiscard]] void* Allocate(size_t bytes);
  void Free(void* memory, size_t bytes);

  int64_t held() const;  // bytes in use, and holes that were in use
  int64_t limit() const { return limit_; }

 private:
  struct Region {
    Mapping memory;
    size_t used;
    size_t left() const { return memory.bytes() - used; }
  };

  void* FromHole(size_t bytes);
  void* FromHeap(size_t bytes);
  void* FromRegion(size_t bytes);
  bool InRegion(const void* memory) const;
  bool AddRegion(size_t bytes);
  bool SystemHas(size_t bytes);
  void AddHole(char* base, size_t bytes);

  const int64_t limit_;
  mutable std::mutex mutex_;
  int64_t held_ = 0;
  int64_t checked_ = kCheckBytes;  // held_ may grow to this without another look
  size_t mapped_ = 0;
  std::vector<Region> regions_;
  std::map<char*, size_t> holes_;
};

}  // namespace trestle::embedding
