// EmbeddingTable: one server's part of one table, a map from key to a row of `dim` floats with its
// optimizer state beside it. A key trained on first creates its row; evaluation creates nothing.
//
// A table is split into *segments* by the key's mixed bits; each is worked on by one thread at a
// time, so there are no locks and no atomics. Rows live in large blocks and never move, so a
// RowHandle stays good until the table is destroyed.
//
// Thread safety: one caller at a time, beside the reader of a snapshot; inside, a call spreads over
// the pool's threads.
// Ownership: spans are borrowed for the call. Device: host (the CUDA table keeps this contract).
// Errors: kOutOfMemory names the table, its rows and bytes; the table is then unchanged but for
// rows that were already created.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "base/thread_pool.h"
#include "base/types.h"
#include "embedding/snapshot_memory.h"
#include "embedding/table.pb.h"

namespace trestle {

// A table with every default filled in.
struct TableSpec {
  std::string name;
  int dim = 0;
  uint64_t seed = 0;  // DeriveSeed(run seed, "table/" + name)
  Initializer initializer;
  EmbeddingOptimizer optimizer;
  Unseen unseen = ZERO;
};

// Fills the defaults and checks ranges; kInvalidConfig names the field.
Result<TableSpec> MakeTableSpec(const Table& table, uint64_t run_seed);

// The name of its optimizer as files have it: "adagrad".
std::string OptimizerName(const TableSpec& spec);

// How often a step's batch holds a key: occurrences, and samples that hold it at least once.
struct KeyCounts {
  uint32_t occurrences = 0;
  uint32_t samples = 0;
};

// Where a row is. kAbsent for a key without a row.
struct RowHandle {
  static constexpr uint32_t kAbsentRow = 0xFFFFFFFFu;
  uint32_t segment = 0;
  uint32_t row = kAbsentRow;
  bool absent() const { return row == kAbsentRow; }
};

// A row as snapshots, digests and files see it.
struct RowView {
  Key key;
  std::span<const float> weights;  // [dim]
  std::span<const float> state;    // [state_width]: optimizer slots, slot after slot
  uint64_t occurrences = 0;        // over all training
  uint64_t samples = 0;
  int64_t last_step = 0;  // last step that pushed to it
};

// The row's part of its table's digest: a hash of key, weights, state and counters.
uint64_t HashRow(const RowView& row);

// The rows of a table at one instant, while training goes on: the first Push to a row that the
// writer has not passed logs the old row (a before-image); rows created later are not in it.
//
// Thread safety: one thread reads (the writer), while another pulls from and pushes to the table.
// Destroying it ends the snapshot and releases what waits for it; the table must still be there.
// Errors: kOutOfMemory if there is none to sort keys with, or if the snapshot was given up: a Push
// found no memory for before-images, or waited too long for some (SnapshotMemory). No row is read
// after that; the table goes on as ever.
class TableSnapshot {
 public:
  virtual ~TableSnapshot() = default;
  virtual int64_t rows() const = 0;
  // As EmbeddingTable::ForEachRow, of the rows as they were. Calls must not overlap in partitions:
  // a row that was visited is forgotten. `visit` runs without a lock held; its view is good for the
  // call.
  virtual Status ForEachRow(uint32_t begin_partition, uint32_t end_partition,
                            const std::function<Status(const RowView&)>& visit) = 0;
};

class EmbeddingTable {
 public:
  enum class Missing { kCreate, kRead };  // kRead: reads as `unseen` says and creates nothing

  virtual ~EmbeddingTable() = default;
  virtual const TableSpec& spec() const = 0;
  virtual int64_t rows() const = 0;
  virtual int64_t bytes() const = 0;    // memory held, index included
  virtual int state_width() const = 0;  // floats of optimizer state a row

  // Copies the row of each key to weights[i*dim, (i+1)*dim) and its handle to handles[i]. Keys must
  // be distinct. Returns the number of keys that had no row (and, with kRead, still have none).
  virtual Result<int64_t> Pull(std::span<const Key> keys, Missing missing, std::span<float> weights,
                               std::span<RowHandle> handles) = 0;

  // One optimizer step on each row: gradients [n, dim], already summed over the batch and divided
  // by its rows. `step` counts from 1; the learning rate is times `lr_factor`. Handles must be
  // distinct and present.
  virtual Status Push(std::span<const RowHandle> handles, std::span<const float> gradients,
                      std::span<const KeyCounts> counts, int64_t step, float lr_factor) = 0;

  // Calls visit for each row of partitions [begin, end) (the top 16 bits of Mix64(key)), rows
  // ordered by (partition, mixed key): the same order whatever the order of creation. One thread.
  virtual Status ForEachRow(uint32_t begin_partition, uint32_t end_partition,
                            const std::function<Status(const RowView&)>& visit) const = 0;

  // Marks this instant: constant time but for fresh memory of 2 bits a row. It, and what sorting
  // the keys will take (2 bytes a row, 16 in a table of less than 65,536), are held of `memory`
  // until the snapshot ends; kOutOfMemory if they alone do not fit. One snapshot of a table at a
  // time; no Reserve nor Insert meanwhile.
  virtual Result<std::unique_ptr<TableSnapshot>> Snapshot(
      std::shared_ptr<SnapshotMemory> memory) = 0;

  // For loading: that many more rows are about to be inserted, so that the index need not grow on
  // the way. A hint: where memory lacks, Insert says so.
  virtual void Reserve(int64_t /*rows*/) {}

  // Creates rows as given, for loading: many at once, since most of the time is waiting for memory.
  // kCorrupt if a key is there already or widths differ; some of the others are then created.
  virtual Status Insert(std::span<const RowView> rows) = 0;
  Status Insert(const RowView& row) { return Insert(std::span(&row, 1)); }

  // Sum (mod 2^64) of HashRow over the rows: order-free, so equal for equal contents however
  // sharded; the digest of a table is the sum over its shards.
  virtual uint64_t Digest() const = 0;
};

// The table in host memory.
Result<std::unique_ptr<EmbeddingTable>> MakeCpuTable(TableSpec spec, ThreadPool* pool);

}  // namespace trestle
