// CpuTable: the table in host memory. Sources outside this room use MakeCpuTable of
// embedding/table.h; this header is for tests and benches that set a limit or look inside.
//
// A Pull walks its keys in groups of kGroup, four groups in flight: the first group's index lines
// are prefetched while the second's are read and its rows prefetched, while the third's keys that
// were not in their home bucket are settled (found one bucket on, created, or absent), while the
// fourth's rows are copied. So a core keeps dozens of cache misses open instead of one. With
// several threads, keys are first sorted by segment (counting sort, stable), then threads take
// whole segments; in a segment keys keep their order, so rows get the same numbers with any number
// of threads.
//
// While there is a snapshot, a Push first logs the rows that its reader still needs, and a Pull
// whose new row makes an index grow takes a lock (embedding/cpu_table_snapshot.h); both find out
// once a call.
//
// Thread safety, errors: as EmbeddingTable. Device: host.
#pragma once

#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "embedding/row_math.h"
#include "embedding/segment.h"
#include "embedding/table.h"

namespace trestle::embedding {

class SnapshotLog;

class CpuTable final : public EmbeddingTable {
 public:
  static constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

  // `pool` is borrowed. Going beyond limit_bytes is kOutOfMemory, as running out of the system's
  // is.
  CpuTable(TableSpec spec, ThreadPool* pool, int64_t limit_bytes = kNoLimit);

  const TableSpec& spec() const override { return spec_; }
  int64_t rows() const override;
  int64_t bytes() const override;
  int state_width() const override { return state_width_; }
  Result<int64_t> Pull(std::span<const Key> keys, Missing missing, std::span<float> weights,
                       std::span<RowHandle> handles) override;
  Status Push(std::span<const RowHandle> handles, std::span<const float> gradients,
              std::span<const KeyCounts> counts, int64_t step, float lr_factor) override;
  Status ForEachRow(uint32_t begin_partition, uint32_t end_partition,
                    const std::function<Status(const RowView&)>& visit) const override;
  Result<std::unique_ptr<TableSnapshot>> Snapshot(std::shared_ptr<SnapshotMemory> memory) override;
  void Reserve(int64_t rows) override;
  using EmbeddingTable::Insert;
  Status Insert(std::span<const RowView> rows) override;
  uint64_t Digest() const override;

 private:
  friend class CpuTableSnapshot;

  // What one thread's part of a Pull came to.
  struct Pulled {
    int64_t missing = 0;
    bool out_of_memory = false;
  };
  struct PullCall {
    const Key* keys;
    Missing missing;
    float* weights;
    RowHandle* handles;
    SnapshotLog* log;  // or null
  };
  struct PushCall {
    const RowHandle* handles;
    const float* gradients;
    const KeyCounts* counts;
    int64_t step;
  };

  static constexpr size_t kGroup = 24;  // 16 and 32 were slower (tests/bench/embedding_bench.cc)
  // Keys on their way through the stages of a Pull.
  struct Group {
    uint64_t mixed[kGroup];
    const float* row[kGroup];     // null: not found yet, or absent
    const float* wanted[kGroup];  // the line to prefetch
  };

  RowHandle ProbeHome(Group* group, size_t k) const;
  void Resolve(const PullCall& call, size_t element, Group* group, size_t k, Pulled* pulled);

  // The calls' parts: elements order(0), ..., order(n - 1). kDim is the width of a row, or 0 for
  // any.
  template <int kDim, class Order>
  Pulled PullPart(const PullCall& call, size_t n, const Order& order);
  template <int kDim, class Optimizer, class Order>
  void PushPart(const PushCall& call, const Optimizer& optimizer, size_t n, const Order& order);

  // part(n, order) once for all elements, or for each segment's on the pool.
  template <class SegmentOf, class Part>
  void Spread(size_t n, const SegmentOf& segment_of, const Part& part);

  // The first element of a part that could not be inserted, and why.
  struct NotInserted {
    static constexpr size_t kNone = ~size_t{0};
    size_t element = kNone;
    enum class Cause { kWidth, kTwice, kMemory } cause = Cause::kMemory;
  };
  template <class Order>
  NotInserted InsertPart(std::span<const RowView> rows, size_t n, const Order& order);
  Status Explain(const RowView& row, NotInserted::Cause cause) const;

  RowPlace Create(uint64_t mixed, Key key, SnapshotLog* log, RowHandle* handle);
  void FillUnseen(Key key, float* weights) const;
  RowView View(uint64_t mixed, const RowPlace& place) const;
  Status OutOfMemory() const;

  std::shared_ptr<SnapshotLog> log() const;  // null: no snapshot
  void DropLog();

  const TableSpec spec_;
  ThreadPool* const pool_;
  const RowInitializer initializer_;
  const RowOptimizer optimizer_;
  const float initial_state_;
  const int dim_;
  const int state_width_;
  TableMemory memory_;
  std::vector<Segment> segments_;
  std::vector<uint32_t> order_;  // of Spread: elements sorted by segment
  mutable std::mutex log_mutex_;
  std::shared_ptr<SnapshotLog> log_;  // while there is a snapshot
};

}  // namespace trestle::embedding
