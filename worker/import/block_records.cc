#include "worker/import/block_records.h"

#include <arrow/array.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/checked_cast.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <exception>
#include <functional>
#include <nlohmann/json.hpp>

#include "worker/block_arrow.h"
#include "worker/import/cells.h"

namespace trestle {
namespace {

using arrow::internal::checked_cast;
// The next rows; null at the end.
using NextBatch = std::function<arrow::Result<std::shared_ptr<arrow::RecordBatch>>()>;

constexpr int64_t kBatchRows = 4096;

// Text that is not UTF-8 makes a line that is not either, which is no row.
std::string Quoted(std::string_view text) {
  return IsUtf8(text) ? nlohmann::json(text).dump() : "\"\xFF\"";
}

// Never like an integer: columns of fractions are no ids, whatever their values.
void AppendDouble(double x, std::string* out) {
  if (!std::isfinite(x)) {
    *out += std::isnan(x) ? "\"nan\"" : x > 0 ? "\"inf\"" : "\"-inf\"";
    return;
  }
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), x);
  out->append(text, end);
  if (std::none_of(text, end, [](char c) { return c == '.' || c == 'e'; })) *out += ".0";
}

void AppendValue(const arrow::Array& array, int64_t row, std::string* out);

void AppendList(const arrow::Array& items, int64_t begin, int64_t end, std::string* out) {
  *out += '[';
  for (int64_t i = begin; i < end; ++i) {
    if (i > begin) *out += ',';
    AppendValue(items, i, out);
  }
  *out += ']';
}

void AppendValue(const arrow::Array& array, int64_t row, std::string* out) {
  if (array.IsNull(row)) {
    *out += "null";
    return;
  }
  switch (array.type_id()) {
    case arrow::Type::INT64:
      *out += std::to_string(checked_cast<const arrow::Int64Array&>(array).Value(row));
      return;
    case arrow::Type::DOUBLE:
      return AppendDouble(checked_cast<const arrow::DoubleArray&>(array).Value(row), out);
    case arrow::Type::FLOAT:
      return AppendDouble(checked_cast<const arrow::FloatArray&>(array).Value(row), out);
    case arrow::Type::STRING:
      *out += Quoted(checked_cast<const arrow::StringArray&>(array).GetView(row));
      return;
    case arrow::Type::LARGE_STRING:
      *out += Quoted(checked_cast<const arrow::LargeStringArray&>(array).GetView(row));
      return;
    case arrow::Type::LIST: {
      const auto& lists = checked_cast<const arrow::ListArray&>(array);
      return AppendList(*lists.values(), lists.value_offset(row), lists.value_offset(row + 1), out);
    }
    case arrow::Type::LARGE_LIST: {
      const auto& lists = checked_cast<const arrow::LargeListArray&>(array);
      return AppendList(*lists.values(), lists.value_offset(row), lists.value_offset(row + 1), out);
    }
    case arrow::Type::DICTIONARY: {
      const auto& kinds = checked_cast<const arrow::DictionaryArray&>(array);
      return AppendValue(*kinds.dictionary(), kinds.GetValueIndex(row), out);
    }
    default: {
      const auto scalar = array.GetScalar(row);
      const std::string text = scalar.ok() ? (*scalar)->ToString() : "";
      const bool plain = arrow::is_integer(array.type_id()) || array.type_id() == arrow::Type::BOOL;
      *out += plain ? text : Quoted(text);
    }
  }
}

class BlockRecords final : public RecordStream {
 public:
  BlockRecords(std::string path, std::vector<std::string> columns, NextBatch next, int64_t bytes)
      : path_(std::move(path)), next_(std::move(next)), file_bytes_(bytes) {
    for (const std::string& column : columns) keys_.push_back(Quoted(column) + ":");
  }

  Result<RecordChunk> Next(int64_t bytes) override {
    RecordChunk chunk;
    chunk.first_line = line_;
    try {
      while (static_cast<int64_t>(chunk.bytes.size()) < bytes) {
        if (batch_ && row_ < batch_->num_rows()) {
          AppendRow(*batch_, row_++, &chunk);
          continue;
        }
        auto batch = next_();
        if (!batch.ok()) return FromArrow(batch.status(), path_);
        if (!*batch) break;
        batch_ = *std::move(batch);
        row_ = 0;
      }
    } catch (const std::exception& error) {
      return FromArrow(arrow::Status::Invalid(error.what()), path_);
    }
    return chunk;
  }
  // Columns are read here and there; it is all or nothing.
  int64_t file_bytes() const override { return file_bytes_; }

  Result<std::string> Xxh3_128() const override { return HashFile(path_); }

 private:
  void AppendRow(const arrow::RecordBatch& batch, int64_t row, RecordChunk* chunk) {
    for (size_t c = 0; c < keys_.size(); ++c) {
      chunk->bytes += c == 0 ? '{' : ',';
      chunk->bytes += keys_[c];
      AppendValue(*batch.column(static_cast<int>(c)), row, &chunk->bytes);
    }
    chunk->bytes += "}\n";
    ++line_;
  }

  const std::string path_;
  const NextBatch next_;
  const int64_t file_bytes_;
  std::vector<std::string> keys_;              // "name":
  std::shared_ptr<arrow::RecordBatch> batch_;  // may be far larger than a chunk
  int64_t row_ = 0;                            // of it, the next
  int64_t line_ = 1;
};

arrow::Result<int> IndexOf(const arrow::Schema& schema, const std::string& column) {
  const std::vector<int> found = schema.GetAllFieldIndices(column);
  if (found.size() == 1) return found.front();
  return arrow::Status::Invalid("column \"", column, "\" ",
                                found.empty() ? "is missing" : "occurs twice");
}

// The columns of a batch in the order asked for.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> Select(
    const std::shared_ptr<arrow::RecordBatch>& batch, const std::vector<std::string>& columns) {
  if (!batch) return batch;
  std::vector<int> indices;
  for (const std::string& column : columns) {
    ARROW_ASSIGN_OR_RAISE(const int index, IndexOf(*batch->schema(), column));
    indices.push_back(index);
  }
  return batch->SelectColumns(indices);
}

arrow::Result<NextBatch> ParquetBatches(const std::shared_ptr<arrow::io::ReadableFile>& file,
                                        const std::vector<std::string>& columns) {
  parquet::arrow::FileReaderBuilder builder;
  parquet::ReaderProperties buffered = parquet::default_reader_properties();
  buffered.enable_buffered_stream();
  ARROW_RETURN_NOT_OK(builder.Open(file, buffered));
  parquet::ArrowReaderProperties properties(/*use_threads=*/false);
  properties.set_batch_size(kBatchRows);
  properties.set_pre_buffer(false);
  std::unique_ptr<parquet::arrow::FileReader> opened;
  ARROW_RETURN_NOT_OK(builder.properties(properties)->Build(&opened));
  const std::shared_ptr<parquet::arrow::FileReader> reader = std::move(opened);
  std::vector<int> groups(static_cast<size_t>(reader->num_row_groups())), leaves;
  for (size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<int>(i);
  std::shared_ptr<arrow::Schema> schema;
  ARROW_RETURN_NOT_OK(reader->GetSchema(&schema));
  const std::function<void(const parquet::arrow::SchemaField&)> add = [&](const auto& field) {
    if (field.is_leaf()) leaves.push_back(field.column_index);
    for (const auto& child : field.children) add(child);
  };
  for (const std::string& column : columns) {
    ARROW_ASSIGN_OR_RAISE(const int index, IndexOf(*schema, column));
    add(reader->manifest().schema_fields[static_cast<size_t>(index)]);
  }
  ARROW_ASSIGN_OR_RAISE(auto rows, reader->GetRecordBatchReader(groups, leaves));
  const std::shared_ptr<arrow::RecordBatchReader> batches = std::move(rows);
  return NextBatch(
      [reader, batches, columns]() -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
        ARROW_ASSIGN_OR_RAISE(auto batch, batches->Next());
        return Select(batch, columns);
      });
}

arrow::Result<NextBatch> IpcBatches(const std::shared_ptr<arrow::io::ReadableFile>& file,
                                    const std::vector<std::string>& columns) {
  ARROW_ASSIGN_OR_RAISE(auto reader,
                        arrow::ipc::RecordBatchFileReader::Open(
                            std::static_pointer_cast<arrow::io::RandomAccessFile>(file)));
  auto next = std::make_shared<int>(0);
  return NextBatch([reader, next, columns]() -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (*next == reader->num_record_batches()) return std::shared_ptr<arrow::RecordBatch>();
    ARROW_ASSIGN_OR_RAISE(auto batch, reader->ReadRecordBatch((*next)++));
    ARROW_RETURN_NOT_OK(batch->ValidateFull());
    return Select(batch, columns);
  });
}

}  // namespace

Result<std::unique_ptr<RecordStream>> OpenBlockRecords(const std::string& path,
                                                       const std::vector<std::string>& columns) {
  TRESTLE_ASSIGN_OR_RETURN(auto file, OpenForReading(path));
  try {
    const auto magic = file->ReadAt(0, 4);
    if (!magic.ok()) return FromArrow(magic.status(), path);
    const bool parquet = (*magic)->ToString() == "PAR1";
    auto next = parquet ? ParquetBatches(file, columns) : IpcBatches(file, columns);
    if (!next.ok()) return FromArrow(next.status(), path);
    return std::unique_ptr<RecordStream>(std::make_unique<BlockRecords>(
        path, columns, *std::move(next), file->GetSize().ValueOr(0)));
  } catch (const std::exception& error) {
    return FromArrow(arrow::Status::Invalid(error.what()), path);
  }
}

}  // namespace trestle
