// Parquet as blocks: one row group is one block. The footer is parsed once and handed to every
// reader.
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <exception>

#include "worker/block_arrow.h"
#include "worker/block_file.h"

namespace trestle {
namespace {

constexpr int64_t kParquetTrailerBytes = 8;  // length of the footer, "PAR1"

void AppendLeaves(const parquet::arrow::SchemaField& field, std::vector<int>* leaves) {
  if (field.is_leaf()) leaves->push_back(field.column_index);
  for (const auto& child : field.children) AppendLeaves(child, leaves);
}

// String columns come as dictionaries: each distinct string is then hashed once a block.
parquet::ArrowReaderProperties ReaderProperties(const parquet::FileMetaData& metadata) {
  parquet::ArrowReaderProperties properties(/*use_threads=*/false);
  for (int i = 0; i < metadata.num_columns(); ++i) {
    if (metadata.schema()->Column(i)->physical_type() == parquet::Type::BYTE_ARRAY) {
      properties.set_read_dictionary(i, true);
    }
  }
  return properties;
}

class ParquetBlocks final : public BlockFile {
 public:
  Status Open(const std::string& path) {
    path_ = path;
    TRESTLE_ASSIGN_OR_RETURN(auto file, OpenForReading(path));
    bytes_ = file->GetSize().ValueOr(0);
    metadata_ = parquet::ReadMetaData(file);
    for (int i = 0; i < metadata_->num_row_groups(); ++i) {
      block_rows_.push_back(metadata_->RowGroup(i)->num_rows());
    }
    TRESTLE_ASSIGN_OR_RETURN(const int64_t length, ReadFooterLength(*file, path, kParquetTrailerBytes));
    TRESTLE_ASSIGN_OR_RETURN(footer_hash_, HashFooter(*file, path, length, kParquetTrailerBytes));
    TRESTLE_ASSIGN_OR_RETURN(auto reader, MakeReader());
    return FromArrow(reader->GetSchema(&schema_), path);
  }

  const char* block_name() const override { return "row group"; }

  Result<std::vector<std::shared_ptr<arrow::ChunkedArray>>> Read(
      int64_t block, const std::vector<std::string>& columns) const override {
    const std::string where = path_ + ", row group " + std::to_string(block);
    try {
      return ReadColumns(static_cast<int>(block), columns, where);
    } catch (const std::exception& error) {
      return FromArrow(arrow::Status::Invalid(error.what()), where);
    }
  }

 private:
  Result<std::unique_ptr<parquet::arrow::FileReader>> MakeReader() const {
    TRESTLE_ASSIGN_OR_RETURN(auto file, OpenForReading(path_));
    parquet::arrow::FileReaderBuilder builder;
    TRESTLE_RETURN_IF_ERROR(
        FromArrow(builder.Open(file, parquet::default_reader_properties(), metadata_), path_));
    const parquet::ArrowReaderProperties properties = ReaderProperties(*metadata_);
    std::unique_ptr<parquet::arrow::FileReader> reader;
    TRESTLE_RETURN_IF_ERROR(FromArrow(builder.properties(properties)->Build(&reader), path_));
    return reader;
  }

  Result<std::vector<std::shared_ptr<arrow::ChunkedArray>>> ReadColumns(
      int block, const std::vector<std::string>& columns, const std::string& where) const {
    TRESTLE_ASSIGN_OR_RETURN(auto reader, MakeReader());
    std::vector<int> leaves;
    for (const std::string& column : columns) {
      const int field = schema_->GetFieldIndex(column);
      AppendLeaves(reader->manifest().schema_fields[static_cast<size_t>(field)], &leaves);
    }
    std::shared_ptr<arrow::Table> table;
    TRESTLE_RETURN_IF_ERROR(FromArrow(reader->RowGroup(block)->ReadTable(leaves, &table), where));
    if (table->num_rows() != block_rows_[static_cast<size_t>(block)]) {
      return FromArrow(
          arrow::Status::Invalid("holds ", table->num_rows(), " rows, its footer says ",
                                 block_rows_[static_cast<size_t>(block)]),
          where);
    }
    std::vector<std::shared_ptr<arrow::ChunkedArray>> read;
    for (const std::string& column : columns) read.push_back(table->GetColumnByName(column));
    return read;
  }

  std::shared_ptr<parquet::FileMetaData> metadata_;
};

}  // namespace

Result<std::shared_ptr<const BlockFile>> OpenParquetFile(const std::string& path) {
  auto file = std::make_shared<ParquetBlocks>();
  try {
    TRESTLE_RETURN_IF_ERROR(file->Open(path));
  } catch (const std::exception& error) {
    return FromArrow(arrow::Status::Invalid(error.what()), path);
  }
  return std::shared_ptr<const BlockFile>(std::move(file));
}

}  // namespace trestle
