// RowSink: record batches into one file, Parquet or CSV, that appears whole or not at all
// (base/atomic_file.h). The bytes depend on the rows alone, and those of Parquet on how the rows are
// cut into batches too: not on the clock, but on the library's version.
//
//   Parquet   zstd, row groups of at most 65,536 rows, so that Trestle reads it in place
//   CSV       a header; a null is nothing between commas; items of lists have | between them
//
// Thread safety: one thread. Memory: of Parquet a row group. Errors: kIoError, as the disk says it;
// kInvalidConfig for a column that CSV cannot hold.
#pragma once

#include <memory>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace trestle {

class RowSink {
 public:
  virtual ~RowSink() = default;  // without Commit there is no file
  virtual Status Write(const arrow::RecordBatch& rows) = 0;
  virtual Status Commit() = 0;
};

Result<std::unique_ptr<RowSink>> MakeParquetSink(FileSystem& fs, const std::string& path,
                                                 const std::shared_ptr<arrow::Schema>& schema);
Result<std::unique_ptr<RowSink>> MakeCsvSink(FileSystem& fs, const std::string& path,
                                             const std::shared_ptr<arrow::Schema>& schema);

}  // namespace trestle
