// SnapshotLog: what a CpuTable that goes on training and the reader of its snapshot share.
//
// Each row that was there at the mark has a state, which changes under its segment's mutex, so that
// a Push that overwrites an untouched row copies it first, and the reader never meets a row half
// written:
//
//   Push, untouched    lock; copy the row to an image; state = logged; unlock; write the row
//   Push, else         write the row: nobody reads it any more
//   reader, untouched  lock; copy the row; state = passed; unlock
//   reader, logged     lock; copy the image; state = passed; unlock; free the image
//
// The reader scans an index while a Pull inserts into it. Rows created after the mark have larger
// numbers than those before it, so that it tells them apart, and only an index that grows waits for
// the scan of its segment, about a millisecond at ten million rows.
//
// States take 2 bits a row, which the system zeroes where they are first touched; where an image is
// is in an index of their segment. (A word a row that says both would be simpler, but the first
// step after the mark touches nearly all of its pages: 40 MB at ten million rows, for which that
// step waited 25 to 100 ms.) Else marking copies the addresses of row blocks, 8 bytes a megabyte.
//
// Thread safety: one thread trains (BeforePush spreads over the pool), one reads; End any thread.
// Memory: of its SnapshotMemory: states and what sorting takes until this is destroyed, images
// while they are used. Freed slots are kept for the next images of this table until then.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "embedding/before_images.h"
#include "embedding/image_index.h"
#include "embedding/mapping.h"
#include "embedding/row_order.h"
#include "embedding/segment.h"
#include "embedding/table.h"

namespace trestle::embedding {

// Copies of a few rows, for a reader.
class RowCopies {
 public:
  RowCopies(int row_floats, size_t rows) : row_floats_(row_floats), floats_(row_floats * rows) {
    counters_.resize(rows);
  }
  RowPlace At(size_t i) { return {floats_.data() + i * row_floats_, &counters_[i]}; }

 private:
  const size_t row_floats_;
  std::vector<float> floats_;
  std::vector<RowCounters> counters_;
};

class SnapshotLog {
 public:
  // Marks. kOutOfMemory says what is needed and what may be held. `segments` is borrowed.
  static Result<std::shared_ptr<SnapshotLog>> Make(std::span<const Segment> segments,
                                                   int row_floats,
                                                   std::shared_ptr<SnapshotMemory> memory);
  ~SnapshotLog();
  SnapshotLog(const SnapshotLog&) = delete;
  SnapshotLog& operator=(const SnapshotLog&) = delete;

  int64_t rows() const { return rows_; }

  // Training.
  // While it is held no scan reads the segment's index, which may grow.
  std::unique_lock<std::mutex> LockIndex(uint32_t segment) {
    return std::unique_lock(lanes_[segment].scan);
  }
  // Logs the rows that the reader still needs. Waits for memory before it touches any.
  void BeforePush(std::span<const RowHandle> handles, ThreadPool* pool);

  // Reading.
  // see(RowEntry) for each row of the snapshot.
  template <class See>
  void Scan(const See& see) {
    for (uint32_t s = 0; s < Segment::kSegments; ++s) {
      std::lock_guard lock(lanes_[s].scan);
      segments_[s].ForEach([&](uint64_t mixed, uint32_t row) {
        if (row < lanes_[s].rows) see(RowEntry{mixed, s, row});
      });
    }
  }
  // Copies the rows as they were at the mark, and passes them. Prefetches `next`, those of the next
  // call.
  // An error if the snapshot was given up.
  Status Read(std::span<const RowEntry> entries, std::span<const RowEntry> next, RowCopies* copies);
  // Nobody reads any more: a Push that waits goes on.
  void End();

 private:
  enum State : uint8_t { kUntouched = 0, kPassed = 1, kLogged = 2 };

  // A segment's part.
  struct alignas(64) Lane {
    std::mutex mutex;           // of states and images
    std::mutex scan;            // held while the index is read
    uint32_t rows = 0;          // at the mark
    uint8_t* states = nullptr;  // four rows a byte
    RowPlaces places{0};
    ImageIndex images;

    // Acquire and release: what the reader did before it passed a row comes before what a Push does
    // that sees it.
    State StateOf(uint32_t row) const {
      const uint8_t four = std::atomic_ref(states[row / 4]).load(std::memory_order_acquire);
      return static_cast<State>(four >> row % 4 * 2 & 3);
    }
    void Change(uint32_t row, State state);  // under the mutex, from untouched or logged
  };

  SnapshotLog(std::span<const Segment> segments, int row_floats, int64_t rows, Mapping states,
              std::shared_ptr<SnapshotMemory> memory, int64_t fixed_bytes);

  int64_t image_bytes() const { return images_.bytes_each() + ImageIndex::kBytesEach; }
  std::vector<RowHandle> Untouched(std::span<const RowHandle> handles) const;
  bool Prepare(std::span<const RowHandle> handles, std::span<uint32_t> images);
  void GiveUp();
  void LogAll(std::span<const RowHandle> handles, std::span<uint32_t> images, ThreadPool* pool);
  bool Log(RowHandle handle, uint32_t image);
  void Copy(const RowPlace& from, const RowPlace& to) const;
  void Free(std::span<const uint32_t> images);

  const std::span<const Segment> segments_;
  const int row_floats_;
  const int64_t rows_;
  const Mapping states_;
  const std::shared_ptr<SnapshotMemory> memory_;
  const int64_t fixed_bytes_;  // held of it from the mark on
  std::array<Lane, Segment::kSegments> lanes_;
  BeforeImages images_;
  std::atomic<bool> over_{false};
};

}  // namespace trestle::embedding
