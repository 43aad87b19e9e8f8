// GpuTable: an EmbeddingTable in the memory of one GPU. The host side: staging, growth, what is
// said when memory ends. What happens to rows is in cuda/table_steps.h, the numbers in
// cuda/table_layout.h.
//
// A Pull finds all keys, counts the missing ones, and knows so exactly how many rows there will be:
// blocks and index grow before anything is inserted, or nothing is. New rows get the next numbers
// in the order of the call.
//
// Rows and optimizer state have the CPU table's bits, since their arithmetic is the same functions;
// but exp, log and cos are CUDA's, so normal initializers differ in their last bits.
//
// Thread safety, errors: as EmbeddingTable; one stream, which every call has waited for when it
// returns. kUnsupported: Snapshot. Device: host code; the runtime's current device.
// Ran on a GPU: never yet. Its tests run its steps on the host.
#pragma once

#include <memory>
#include <vector>

#include "cuda/gpu_buffer.h"
#include "cuda/table_kernels.h"
#include "cuda/table_layout.h"
#include "embedding/row_math.h"
#include "embedding/table.h"

namespace trestle::cuda {

class GpuTable final : public EmbeddingTable {
 public:
  // All borrowed; the stream is of the runtime.
  struct Place {
    GpuRuntime* runtime;
    TableKernels* kernels;
    GpuStream stream;
    int64_t block_bytes = kBlockBytes;
  };

  static Result<std::unique_ptr<EmbeddingTable>> Make(TableSpec spec, const Place& place);

  const TableSpec& spec() const override { return spec_; }
  int64_t rows() const override { return rows_; }
  int64_t bytes() const override;  // of the device: rows, index, staging
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
  GpuTable(TableSpec spec, const Place& place);

  IndexView View(const GpuBuffer& index, int64_t slots) const;
  RowsView Rows() const;
  Status Run(const TableStep& step, int64_t n) const {
    return place_.kernels->Run(step, n, place_.stream);
  }

  // Fills keys_, found_, missing_ and before_ for the keys; returns how many are missing.
  Result<int64_t> Find(std::span<const Key> keys);
  // After Find: rows for those that are missing.
  Status Create(int64_t keys, int64_t missing);
  // found_'s rows, `floats` of each, to the host.
  Status Read(int64_t keys, int floats, bool unseen_init, float* to) const;
  Status MakeRoom(int64_t rows);
  Status AddBlocks(int64_t blocks);
  Status GrowIndex(int64_t slots);
  // The key of each row, by row.
  Result<std::vector<uint64_t>> AllKeys() const;
  Status VisitRows(std::span<const uint32_t> rows,
                   const std::function<Status(const RowView&)>& visit) const;
  Status CheckWidths(std::span<const RowView> rows) const;
  Status CheckNew(std::span<const RowView> rows);

  template <class T>
  Status Upload(GpuBuffer* to, std::span<const T> from) const;
  template <class T>
  Status Download(std::span<T> to, const void* from) const;
  Status Explain(const Status& failure) const;  // names the table where memory ended

  const TableSpec spec_;
  const Place place_;
  const embedding::RowInitializer initializer_;
  const embedding::RowOptimizer optimizer_;
  const int state_width_;
  const TableLayout layout_;
  int64_t rows_ = 0;
  int64_t slots_ = 0;
  GpuBuffer index_;
  std::vector<GpuBuffer> blocks_;
  GpuBuffer block_table_;  // their addresses, on the device
  // Staging of a call.
  mutable GpuBuffer keys_, missing_, before_, scratch_, occurrences_, samples_, found_, floats_,
      counters_;
};

}  // namespace trestle::cuda
