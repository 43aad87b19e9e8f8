#include "embedding/cpu_table_snapshot.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/hash.h"
#include "embedding/cpu_table.h"

namespace trestle::embedding {
namespace {

constexpr size_t kReadGroup = 32;   // rows prefetched, then copied together, two groups in flight
constexpr size_t kLogGroup = 1024;  // rows that a thread logs at a time
constexpr size_t kAhead = 16;       // rows prefetched
constexpr uint32_t kNoImage = ~0u;

// Four states a byte, and no two segments on a cache line.
size_t StateBytes(const Segment& segment) { return (size_t{segment.rows()} + 255) / 256 * 64; }

[[gnu::always_inline]] inline void Prefetch(const RowPlace& place, int floats) {
  for (int f = 0; f < floats; f += 16) __builtin_prefetch(place.floats + f);
  __builtin_prefetch(place.counters);
}

}  // namespace

Result<std::shared_ptr<SnapshotLog>> SnapshotLog::Make(std::span<const Segment> segments,
                                                       int row_floats,
                                                       std::shared_ptr<SnapshotMemory> memory) {
  int64_t rows = 0;
  size_t state_bytes = 0;
  for (const Segment& segment : segments) {
    rows += segment.rows();
    state_bytes += StateBytes(segment);
  }
  const int64_t bytes = static_cast<int64_t>(state_bytes) + RowSorter::Bytes(rows);
  if (!memory->HoldFixed(bytes)) {
    return Status(StatusCode::kOutOfMemory,
                  "a snapshot of " + std::to_string(rows) + " rows needs " + std::to_string(bytes) +
                      " bytes beside before-images; of the " + std::to_string(memory->limit()) +
                      " bytes that snapshots may hold, " + std::to_string(memory->held()) +
                      " are taken; raise checkpoint.snapshot_mb");
  }
  Mapping states(state_bytes);
  if (rows > 0 && !states.get()) {
    memory->ReleaseFixed(bytes);
    return Status(StatusCode::kOutOfMemory, "a snapshot of " + std::to_string(rows) +
                                                " rows: the system has no " +
                                                std::to_string(bytes) + " bytes more");
  }
  return std::shared_ptr<SnapshotLog>(
      new SnapshotLog(segments, row_floats, rows, std::move(states), std::move(memory), bytes));
}

SnapshotLog::SnapshotLog(std::span<const Segment> segments, int row_floats, int64_t rows,
                         Mapping states, std::shared_ptr<SnapshotMemory> memory,
                         int64_t fixed_bytes)
    : segments_(segments),
      row_floats_(row_floats),
      rows_(rows),
      states_(std::move(states)),
      memory_(std::move(memory)),
      fixed_bytes_(fixed_bytes),
      images_(row_floats, rows) {
  char* states_of = states_.get();
  for (uint32_t s = 0; s < Segment::kSegments; ++s) {
    lanes_[s].rows = segments[s].rows();
    lanes_[s].states = reinterpret_cast<uint8_t*>(states_of);
    lanes_[s].places = segments[s].places();
    states_of += StateBytes(segments[s]);
  }
}

SnapshotLog::~SnapshotLog() {
  memory_->Release(images_.taken() * image_bytes());
  memory_->ReleaseFixed(fixed_bytes_);
}

void SnapshotLog::End() {
  over_ = true;
  memory_->Wake();
}

void SnapshotLog::Lane::Change(uint32_t row, State state) {
  const std::atomic_ref four(states[row / 4]);
  const uint32_t shift = row % 4 * 2;
  const uint32_t others = four.load(std::memory_order_relaxed) & ~(3u << shift);
  four.store(static_cast<uint8_t>(others | uint32_t{state} << shift), std::memory_order_release);
}

void SnapshotLog::BeforePush(std::span<const RowHandle> handles, ThreadPool* pool) {
  if (over_) return;
  const std::vector<RowHandle> untouched = Untouched(handles);
  if (untouched.empty()) return;
  std::vector<uint32_t> images(untouched.size());
  const int64_t bytes = static_cast<int64_t>(images.size()) * image_bytes();
  if (!memory_->Hold(bytes, over_)) return GiveUp();
  if (!Prepare(untouched, images)) {
    memory_->Release(bytes);
    return GiveUp();
  }
  LogAll(untouched, images, pool);
}

// Rows change from here on without images: the reader must meet none of them. It looks at over_
// whenever it has taken a lock.
void SnapshotLog::GiveUp() {
  over_ = true;
  for (Lane& lane : lanes_) std::lock_guard lock(lane.mutex);
}

std::vector<RowHandle> SnapshotLog::Untouched(std::span<const RowHandle> handles) const {
  std::vector<RowHandle> untouched;
  for (size_t i = 0; i < handles.size(); ++i) {
    const RowHandle ahead = handles[std::min(i + kAhead, handles.size() - 1)];
    __builtin_prefetch(lanes_[ahead.segment].states + ahead.row / 4);
    const Lane& lane = lanes_[handles[i].segment];
    if (handles[i].row < lane.rows && lane.StateOf(handles[i].row) == kUntouched) {
      untouched.push_back(handles[i]);
    }
  }
  return untouched;
}

// Everything that can fail for want of memory. False: it did, and nothing is taken.
bool SnapshotLog::Prepare(std::span<const RowHandle> handles, std::span<uint32_t> images) try {
  std::array<uint32_t, Segment::kSegments> more{};
  for (const RowHandle handle : handles) ++more[handle.segment];
  for (uint32_t s = 0; s < Segment::kSegments; ++s) {
    if (more[s] == 0) continue;
    std::lock_guard lock(lanes_[s].mutex);
    lanes_[s].images.Reserve(more[s]);
  }
  return images_.Take(images);
} catch (const std::bad_alloc&) {
  return false;
}

void SnapshotLog::LogAll(std::span<const RowHandle> handles, std::span<uint32_t> images,
                         ThreadPool* pool) {
  const size_t groups = (handles.size() + kLogGroup - 1) / kLogGroup;
  pool->ParallelFor(static_cast<int64_t>(groups), [&](int64_t group, int) {
    const size_t begin = group * kLogGroup;
    const size_t end = std::min(handles.size(), begin + kLogGroup);
    for (size_t i = begin; i < end; ++i) {
      const RowHandle ahead = handles[std::min(i + kAhead, end - 1)];
      Prefetch(lanes_[ahead.segment].places.At(ahead.row), row_floats_);
      if (Log(handles[i], images[i])) images[i] = kNoImage;
    }
  });
  // Of rows that the reader passed meanwhile.
  const auto unused = std::remove(images.begin(), images.end(), kNoImage);
  Free(images.first(unused - images.begin()));
}

// False: the reader has passed the row.
bool SnapshotLog::Log(RowHandle handle, uint32_t image) {
  Lane& lane = lanes_[handle.segment];
  std::lock_guard lock(lane.mutex);
  if (lane.StateOf(handle.row) != kUntouched) return false;
  Copy(lane.places.At(handle.row), images_.At(image));
  lane.images.Insert(handle.row, image);
  lane.Change(handle.row, kLogged);
  return true;
}

Status SnapshotLog::Read(std::span<const RowEntry> entries, std::span<const RowEntry> next,
                         RowCopies* copies) {
  for (const RowEntry& entry : next) {
    const Lane& lane = lanes_[entry.segment];
    __builtin_prefetch(lane.states + entry.row / 4, 1);
    Prefetch(lane.places.At(entry.row), row_floats_);
  }
  std::vector<uint32_t> images;
  std::unique_lock<std::mutex> lock;
  for (size_t i = 0; i < entries.size(); ++i) {
    const uint32_t row = entries[i].row;
    Lane& lane = lanes_[entries[i].segment];
    // Rows in order come by segment in each partition: two or three a lock at ten million.
    if (lock.mutex() != &lane.mutex) {
      if (lock) lock.unlock();
      lock = std::unique_lock(lane.mutex);
    }
    if (over_.load(std::memory_order_relaxed)) break;
    const State state = lane.StateOf(row);
    CHECK_NE(state, kPassed) << "a row of a snapshot is read twice";
    if (state == kUntouched) {
      Copy(lane.places.At(row), copies->At(i));
    } else {
      images.push_back(lane.images.Take(row));
      Copy(images_.At(images.back()), copies->At(i));
    }
    lane.Change(row, kPassed);
  }
  if (lock) lock.unlock();
  Free(images);
  if (!over_) return Ok();
  return Status(StatusCode::kOutOfMemory,
                "memory for rows that change while they are written ran out, and the disk was too "
                "slow to wait for; raise checkpoint.snapshot_mb");
}

void SnapshotLog::Copy(const RowPlace& from, const RowPlace& to) const {
  std::memcpy(to.floats, from.floats, row_floats_ * sizeof(float));
  *to.counters = *from.counters;
}

void SnapshotLog::Free(std::span<const uint32_t> images) {
  if (images.empty()) return;
  images_.Give(images);
  memory_->Release(static_cast<int64_t>(images.size()) * image_bytes());
}

// Reads a CpuTable's log, group by group.
class CpuTableSnapshot final : public TableSnapshot {
 public:
  CpuTableSnapshot(CpuTable* table, std::shared_ptr<SnapshotLog> log)
      : table_(table), log_(std::move(log)) {}
  ~CpuTableSnapshot() override {
    log_->End();
    table_->DropLog();
  }

  int64_t rows() const override { return log_->rows(); }

  Status ForEachRow(uint32_t begin_partition, uint32_t end_partition,
                    const std::function<Status(const RowView&)>& visit) override try {
    const int row_floats = table_->spec().dim + table_->state_width();
    RowCopies copies(row_floats, kReadGroup);
    return VisitInOrder(
        rows(), begin_partition, end_partition, [this](const auto& see) { log_->Scan(see); },
        [&](std::span<const RowEntry> entries) {
          const auto group_at = [&](size_t i) {
            const size_t begin = std::min(i, entries.size());
            return entries.subspan(begin, std::min(kReadGroup, entries.size() - begin));
          };
          TRESTLE_RETURN_IF_ERROR(log_->Read({}, group_at(0), &copies));
          for (size_t i = 0; i < entries.size(); i += kReadGroup) {
            const auto group = group_at(i);
            TRESTLE_RETURN_IF_ERROR(log_->Read(group, group_at(i + kReadGroup), &copies));
            for (size_t k = 0; k < group.size(); ++k) {
              TRESTLE_RETURN_IF_ERROR(visit(table_->View(group[k].mixed, copies.At(k))));
            }
          }
          return Ok();
        });
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::kOutOfMemory,
                  "table " + table_->spec().name + ": no memory to sort the keys of its snapshot");
  }

 private:
  CpuTable* const table_;
  const std::shared_ptr<SnapshotLog> log_;
};

Result<std::unique_ptr<TableSnapshot>> CpuTable::Snapshot(
    std::shared_ptr<SnapshotMemory> memory) try {
  CHECK(!log()) << "table " << spec_.name << ": one snapshot at a time";
  auto log = SnapshotLog::Make(segments_, dim_ + state_width_, std::move(memory));
  if (!log.ok()) return log.status().Wrap("table " + spec_.name);
  std::lock_guard lock(log_mutex_);
  log_ = *log;
  return std::unique_ptr<TableSnapshot>(std::make_unique<CpuTableSnapshot>(this, *log));
} catch (const std::bad_alloc&) {
  return OutOfMemory().Wrap("marking a snapshot");
}

std::shared_ptr<SnapshotLog> CpuTable::log() const {
  std::lock_guard lock(log_mutex_);
  return log_;
}

// What the reader did before comes before what a Push does that finds no log.
void CpuTable::DropLog() {
  std::lock_guard lock(log_mutex_);
  log_.reset();
}

}  // namespace trestle::embedding
