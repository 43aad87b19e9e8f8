// Arrow IPC files as blocks: one record batch is one block. The footer tells where batches are but
// not how many rows they have; that is in each batch's own header, read once at opening.
#include <arrow/array.h>
#include <arrow/chunked_array.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include "worker/block_arrow.h"
#include "worker/block_file.h"

namespace trestle {
namespace {

constexpr int64_t kIpcTrailerBytes = 10;  // length of the footer, "ARROW1"

class IpcBlocks final : public BlockFile {
 public:
  Status Open(const std::string& path) {
    path_ = path;
    TRESTLE_ASSIGN_OR_RETURN(auto file, OpenForReading(path));
    bytes_ = file->GetSize().ValueOr(0);
    TRESTLE_ASSIGN_OR_RETURN(auto reader, MakeReader({}));
    schema_ = reader->schema();
    if (schema_->HasMetadata()) content_hash_ = schema_->metadata()->Get(kContentHash).ValueOr("");
    TRESTLE_ASSIGN_OR_RETURN(const int64_t length, ReadFooterLength(*file, path, kIpcTrailerBytes));
    TRESTLE_ASSIGN_OR_RETURN(footer_hash_, HashFooter(*file, path, length, kIpcTrailerBytes));
    return CountRows();
  }

  const char* block_name() const override { return "record batch"; }

  Result<std::vector<std::shared_ptr<arrow::ChunkedArray>>> Read(
      int64_t block, const std::vector<std::string>& columns) const override {
    const std::string where = path_ + ", record batch " + std::to_string(block);
    std::vector<int> fields;
    for (const std::string& column : columns) fields.push_back(schema_->GetFieldIndex(column));
    TRESTLE_ASSIGN_OR_RETURN(auto reader, MakeReader(fields));
    auto batch = reader->ReadRecordBatch(static_cast<int>(block));
    if (!batch.ok()) return FromArrow(batch.status(), where);
    // Offsets and dictionary indices come from the file as they are: check them before use.
    TRESTLE_RETURN_IF_ERROR(FromArrow((*batch)->ValidateFull(), where));
    const int64_t expected = block_rows_[static_cast<size_t>(block)];
    if ((*batch)->num_rows() != expected) {
      return FromArrow(arrow::Status::Invalid("holds ", (*batch)->num_rows(), " rows, it held ",
                                              expected, " when the file was opened"),
                       where);
    }
    std::vector<std::shared_ptr<arrow::ChunkedArray>> read;
    for (const std::string& column : columns) {
      read.push_back(std::make_shared<arrow::ChunkedArray>((*batch)->GetColumnByName(column)));
    }
    return read;
  }

 private:
  Result<std::shared_ptr<arrow::ipc::RecordBatchFileReader>> MakeReader(
      std::vector<int> fields) const {
    TRESTLE_ASSIGN_OR_RETURN(auto file, OpenForReading(path_));
    arrow::ipc::IpcReadOptions options = arrow::ipc::IpcReadOptions::Defaults();
    options.use_threads = false;
    options.included_fields = std::move(fields);
    auto reader = arrow::ipc::RecordBatchFileReader::Open(
        std::static_pointer_cast<arrow::io::RandomAccessFile>(file), options);
    if (!reader.ok()) return FromArrow(reader.status(), path_);
    return std::move(reader).ValueUnsafe();
  }

  // One field is enough to learn a batch's length, and reads little.
  Status CountRows() {
    if (schema_->num_fields() == 0) return {};
    TRESTLE_ASSIGN_OR_RETURN(auto reader, MakeReader({0}));
    for (int i = 0; i < reader->num_record_batches(); ++i) {
      auto batch = reader->ReadRecordBatch(i);
      if (!batch.ok()) {
        return FromArrow(batch.status(), path_ + ", record batch " + std::to_string(i));
      }
      block_rows_.push_back((*batch)->num_rows());
    }
    return {};
  }
};

}  // namespace

Result<std::shared_ptr<const BlockFile>> OpenIpcFile(const std::string& path) {
  auto file = std::make_shared<IpcBlocks>();
  TRESTLE_RETURN_IF_ERROR(file->Open(path));
  return std::shared_ptr<const BlockFile>(std::move(file));
}

}  // namespace trestle
