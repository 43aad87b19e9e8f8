#include "worker/row_sink.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/cast.h>
#include <arrow/csv/writer.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/checked_cast.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "worker/arrow_output.h"
#include "worker/input.h"

namespace trestle {
namespace {

// Fixed, so that an upgrade of the library does not change the file's codec behind our back.
constexpr int kZstdLevel = 1;

class ParquetSink final : public RowSink {
 public:
  explicit ParquetSink(std::unique_ptr<ArrowOutput> output) : output_(std::move(output)) {}

  Status Open(const arrow::Schema& schema) {
    const auto properties = parquet::WriterProperties::Builder()
                                .compression(parquet::Compression::ZSTD)
                                ->compression_level(kZstdLevel)
                                ->max_row_group_length(kMaxBlockRows)
                                ->build();
    auto writer = parquet::arrow::FileWriter::Open(schema, arrow::default_memory_pool(),
                                                   output_->stream(), properties);
    if (!writer.ok()) return output_->StatusOf(writer.status());
    writer_ = *std::move(writer);
    return {};
  }

  // It fills the row group that is open, and then begins another.
  Status Write(const arrow::RecordBatch& rows) override {
    return output_->StatusOf(writer_->WriteRecordBatch(rows));
  }

  Status Commit() override {
    TRESTLE_RETURN_IF_ERROR(output_->StatusOf(writer_->Close()));
    return output_->Commit();
  }

 private:
  const std::unique_ptr<ArrowOutput> output_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

bool IsList(const arrow::DataType& type) {
  return type.id() == arrow::Type::LIST || type.id() == arrow::Type::LARGE_LIST ||
         type.id() == arrow::Type::FIXED_SIZE_LIST;
}

std::shared_ptr<arrow::Schema> TextSchema(const arrow::Schema& schema) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (const auto& field : schema.fields()) {
    fields.push_back(IsList(*field->type()) ? field->WithType(arrow::utf8()) : field);
  }
  return arrow::schema(fields);
}

// "0.5|0.25" of [0.5, 0.25].
template <class Lists>
arrow::Result<std::shared_ptr<arrow::Array>> ListTexts(const arrow::Array& array) {
  const auto& lists = arrow::internal::checked_cast<const Lists&>(array);
  ARROW_ASSIGN_OR_RAISE(const auto cast, arrow::compute::Cast(*lists.values(), arrow::utf8()));
  const auto& items = arrow::internal::checked_cast<const arrow::StringArray&>(*cast);
  arrow::StringBuilder builder;
  std::string text;
  for (int64_t row = 0; row < lists.length(); ++row) {
    if (lists.IsNull(row)) {
      ARROW_RETURN_NOT_OK(builder.AppendNull());
      continue;
    }
    text.clear();
    const int64_t begin = lists.value_offset(row), end = begin + lists.value_length(row);
    for (int64_t i = begin; i < end; ++i) {
      if (i > begin) text += '|';
      if (!items.IsNull(i)) text += items.GetView(i);
    }
    ARROW_RETURN_NOT_OK(builder.Append(text));
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> Texts(const std::shared_ptr<arrow::Array>& array) {
  switch (array->type_id()) {
    case arrow::Type::LIST:
      return ListTexts<arrow::ListArray>(*array);
    case arrow::Type::LARGE_LIST:
      return ListTexts<arrow::LargeListArray>(*array);
    case arrow::Type::FIXED_SIZE_LIST:
      return ListTexts<arrow::FixedSizeListArray>(*array);
    default:
      return array;
  }
}

class CsvSink final : public RowSink {
 public:
  CsvSink(std::unique_ptr<ArrowOutput> output, std::shared_ptr<arrow::Schema> schema)
      : output_(std::move(output)), schema_(std::move(schema)) {}

  Status Open() {
    auto writer = arrow::csv::MakeCSVWriter(output_->stream(), schema_);
    if (!writer.ok()) return Refused(writer.status());
    writer_ = *std::move(writer);
    return {};
  }

  Status Write(const arrow::RecordBatch& rows) override {
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (const auto& column : rows.columns()) {
      auto texts = Texts(column);
      if (!texts.ok()) return Refused(texts.status());
      columns.push_back(*std::move(texts));
    }
    const auto batch = arrow::RecordBatch::Make(schema_, rows.num_rows(), std::move(columns));
    return output_->StatusOf(writer_->WriteRecordBatch(*batch));
  }

  Status Commit() override {
    TRESTLE_RETURN_IF_ERROR(output_->StatusOf(writer_->Close()));
    return output_->Commit();
  }

 private:
  Status Refused(const arrow::Status& status) const {
    const Status written = output_->StatusOf(status);
    if (written.code() != StatusCode::kIoError || status.IsIOError()) return written;
    return {StatusCode::kInvalidConfig, output_->path() + ": CSV cannot hold a column (" +
                                            status.message() + "); name a .parquet file"};
  }

  const std::unique_ptr<ArrowOutput> output_;
  const std::shared_ptr<arrow::Schema> schema_;  // lists as text
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

}  // namespace

Result<std::unique_ptr<RowSink>> MakeParquetSink(FileSystem& fs, const std::string& path,
                                                 const std::shared_ptr<arrow::Schema>& schema) {
  TRESTLE_ASSIGN_OR_RETURN(auto output, ArrowOutput::Create(fs, path));
  auto sink = std::make_unique<ParquetSink>(std::move(output));
  TRESTLE_RETURN_IF_ERROR(sink->Open(*schema));
  return std::unique_ptr<RowSink>(std::move(sink));
}

Result<std::unique_ptr<RowSink>> MakeCsvSink(FileSystem& fs, const std::string& path,
                                             const std::shared_ptr<arrow::Schema>& schema) {
  TRESTLE_ASSIGN_OR_RETURN(auto output, ArrowOutput::Create(fs, path));
  auto sink = std::make_unique<CsvSink>(std::move(output), TextSchema(*schema));
  TRESTLE_RETURN_IF_ERROR(sink->Open());
  return std::unique_ptr<RowSink>(std::move(sink));
}

}  // namespace trestle
