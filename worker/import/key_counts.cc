#include "worker/import/key_counts.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/hash.h"
#include "worker/block.h"
#include "worker/block_arrow.h"
#include "worker/bucket_bounds.h"

namespace trestle {
namespace {

constexpr int64_t kEntryBytes = 64;  // of a hash map, about
constexpr size_t kBatchRows = 65'536;

struct Counts {
  int64_t occurrences = 0;
  int64_t samples = 0;
};
using CountOf = std::unordered_map<uint64_t, Counts>;

// Arrow's view of a file of ours. Its own errors are kept, since Arrow's have no code.
class FileStream final : public arrow::io::OutputStream {
 public:
  explicit FileStream(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  arrow::Status Write(const void* data, int64_t bytes) override {
    failed_ = file_->Append({static_cast<const std::byte*>(data), static_cast<size_t>(bytes)});
    position_ += bytes;
    return failed_.ok() ? arrow::Status::OK() : arrow::Status::IOError("see the file's status");
  }
  arrow::Status Close() override { return arrow::Status::OK(); }
  arrow::Result<int64_t> Tell() const override { return position_; }
  bool closed() const override { return false; }

  const Status& failed() const { return failed_; }
  Status Finish() {
    TRESTLE_RETURN_IF_ERROR(file_->Sync());
    return file_->Close();
  }

 private:
  std::unique_ptr<WritableFile> file_;
  int64_t position_ = 0;
  Status failed_;
};

template <class T>
std::shared_ptr<arrow::Array> Column(const std::shared_ptr<arrow::DataType>& type,
                                     std::vector<T> values) {
  const auto rows = static_cast<int64_t>(values.size());
  return arrow::MakeArray(
      arrow::ArrayData::Make(type, rows, {nullptr, arrow::Buffer::FromVector(std::move(values))}));
}

std::shared_ptr<arrow::Schema> FileSchema() {
  return arrow::schema({arrow::field("key", arrow::uint64()),
                        arrow::field("occurrences", arrow::int64()),
                        arrow::field("samples", arrow::int64())});
}

// Those of one table, in passes.
class TableCounter {
 public:
  TableCounter(const Dataset& dataset, int table, const BucketBounds& bounds, int64_t memory_bytes)
      : dataset_(dataset),
        table_(table),
        bounds_(bounds),
        most_(static_cast<size_t>(std::max<int64_t>(memory_bytes / kEntryBytes, 1024))) {}

  Status Write(FileSystem& fs, const std::string& path) {
    for (uint64_t passes = 1;; passes *= 2) {
      TRESTLE_ASSIGN_OR_RETURN(const bool fits, TryWrite(fs, path, passes));
      if (fits) return {};
    }
  }

 private:
  // False if a pass has more keys than fit.
  Result<bool> TryWrite(FileSystem& fs, const std::string& path, uint64_t passes) {
    TRESTLE_ASSIGN_OR_RETURN(auto file, fs.Create(path + ".tmp"));
    FileStream out(std::move(file));
    const auto schema = FileSchema();
    auto writer = arrow::ipc::MakeFileWriter(&out, schema);
    if (!writer.ok()) return FromArrow(writer.status(), path);
    for (uint64_t pass = 0; pass < passes; ++pass) {
      TRESTLE_ASSIGN_OR_RETURN(const auto counts, Count(pass, passes));
      if (!counts) return false;
      TRESTLE_RETURN_IF_ERROR(WriteBatches(*counts, **writer, out, path));
    }
    const arrow::Status closed = (*writer)->Close();
    TRESTLE_RETURN_IF_ERROR(out.failed());
    TRESTLE_RETURN_IF_ERROR(FromArrow(closed, path));
    TRESTLE_RETURN_IF_ERROR(out.Finish());
    TRESTLE_RETURN_IF_ERROR(fs.Rename(path + ".tmp", path));
    return true;
  }

  Result<std::optional<CountOf>> Count(uint64_t pass, uint64_t passes) {
    CountOf counts;
    std::vector<uint64_t> row_keys;
    for (int64_t b = 0; b < dataset_.blocks(); ++b) {
      TRESTLE_ASSIGN_OR_RETURN(const auto block, dataset_.ReadBlock(b, {}, bounds_));
      for (int64_t row = 0; row < block->rows; ++row) {
        row_keys.clear();
        for (size_t s = 0; s < block->slots.size(); ++s) {
          if (dataset_.schema().slots[s].table != table_) continue;  // a part of a cross
          AddKeys(block->slots[s], row, pass, passes, &row_keys);
        }
        CountRow(&row_keys, &counts);
      }
      if (counts.size() > most_) return std::optional<CountOf>();
    }
    return std::optional(std::move(counts));
  }

  static void AddKeys(const BlockKeys& slot, int64_t row, uint64_t pass, uint64_t passes,
                      std::vector<uint64_t>* keys) {
    const int64_t begin = slot.offsets ? slot.offsets[row] : row;
    const int64_t end = slot.offsets ? slot.offsets[row + 1] : row + 1;
    for (int64_t i = begin; i < end; ++i) {
      if (passes == 1 || Mix64(slot.keys[i]) % passes == pass) keys->push_back(slot.keys[i]);
    }
  }

  static void CountRow(std::vector<uint64_t>* keys, CountOf* counts) {
    if (keys->size() > 1) std::sort(keys->begin(), keys->end());
    for (size_t i = 0; i < keys->size(); ++i) {
      Counts& count = (*counts)[(*keys)[i]];
      ++count.occurrences;
      count.samples += i == 0 || (*keys)[i] != (*keys)[i - 1] ? 1 : 0;
    }
  }

  static Status WriteBatches(const CountOf& counts, arrow::ipc::RecordBatchWriter& writer,
                             const FileStream& out, const std::string& path) {
    std::vector<uint64_t> keys;
    keys.reserve(counts.size());
    for (const auto& [key, count] : counts) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    for (size_t at = 0; at < keys.size(); at += kBatchRows) {
      const auto begin = keys.begin() + static_cast<int64_t>(at);
      const std::vector<uint64_t> some(
          begin, begin + static_cast<int64_t>(std::min(kBatchRows, keys.size() - at)));
      std::vector<int64_t> occurrences, samples;
      for (const uint64_t key : some) {
        occurrences.push_back(counts.at(key).occurrences);
        samples.push_back(counts.at(key).samples);
      }
      const auto rows = static_cast<int64_t>(some.size());
      const auto batch = arrow::RecordBatch::Make(
          FileSchema(), rows,
          {Column(arrow::uint64(), some), Column(arrow::int64(), std::move(occurrences)),
           Column(arrow::int64(), std::move(samples))});
      const arrow::Status written = writer.WriteRecordBatch(*batch);
      TRESTLE_RETURN_IF_ERROR(out.failed());
      TRESTLE_RETURN_IF_ERROR(FromArrow(written, path));
    }
    return {};
  }

  const Dataset& dataset_;
  const int table_;
  const BucketBounds& bounds_;
  const size_t most_;
};

// What reading one table's columns takes: a cross's parts too.
Schema SchemaOfTable(const Schema& schema, int table) {
  Schema of_table = schema;
  of_table.numeric.clear();
  of_table.group.clear();
  of_table.weight.clear();
  of_table.positive_weight = 1;
  of_table.slices.clear();
  of_table.slots.clear();
  for (Slot slot : schema.slots) {
    if (slot.table != table) continue;
    for (int& part : slot.parts) {
      of_table.slots.push_back(schema.slots[static_cast<size_t>(part)]);
      part = static_cast<int>(of_table.slots.size()) - 1;
    }
    of_table.slots.push_back(std::move(slot));
  }
  return of_table;
}

}  // namespace

Status WriteKeyCounts(const Schema& schema, const DatasetOptions& files, const std::string& folder,
                      int64_t memory_bytes, ThreadPool& pool, FileSystem& fs) {
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder));
  BucketBounds bounds = GivenBounds(schema);
  if (NeedsQuantiles(schema)) {
    TRESTLE_ASSIGN_OR_RETURN(const auto dataset, OpenDataset(schema, files));
    TRESTLE_ASSIGN_OR_RETURN(bounds, BoundsOf(*dataset));
  }
  std::mutex mutex;
  Status failed;
  const auto tables = static_cast<int64_t>(schema.tables.size());
  pool.ParallelFor(tables, [&](int64_t table, int) {
    const std::string path =
        folder + "/" + schema.tables[static_cast<size_t>(table)].name + ".arrow";
    const auto write = [&]() -> Status {
      TRESTLE_ASSIGN_OR_RETURN(const auto dataset,
                               OpenDataset(SchemaOfTable(schema, static_cast<int>(table)), files));
      return TableCounter(*dataset, static_cast<int>(table), bounds, memory_bytes / pool.size())
          .Write(fs, path);
    };
    const Status written = write();
    const std::lock_guard lock(mutex);
    if (failed.ok()) failed = written;
  });
  TRESTLE_RETURN_IF_ERROR(failed);
  return fs.SyncDirectory(folder);
}

}  // namespace trestle
