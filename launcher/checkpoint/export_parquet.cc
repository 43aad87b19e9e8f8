// Parquet through the filesystem interface: Arrow writes to an ArrowOutput.
#include <arrow/api.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "launcher/checkpoint/export_formats.h"
#include "worker/arrow_output.h"

namespace trestle {
namespace {

// As of the files that training reads: small enough for any reader's memory.
constexpr int64_t kGroupRows = 65'536;
// Fixed, so that an upgrade of the library does not change the file's codec behind our back.
constexpr int kZstdLevel = 1;

std::shared_ptr<arrow::Schema> TableSchema() {
  const auto field = [](const char* name, std::shared_ptr<arrow::DataType> type) {
    return arrow::field(name, std::move(type), /*nullable=*/false);
  };
  return arrow::schema({field("key", arrow::uint64()),
                        field("weights", arrow::list(field("item", arrow::float32()))),
                        field("occurrences", arrow::uint64()), field("samples", arrow::uint64()),
                        field("last_step", arrow::int64())});
}

// One value of each row of a block's part [begin, end).
template <class Builder, class Get>
arrow::Result<std::shared_ptr<arrow::Array>> Column(const RowBlock& block, size_t begin, size_t end,
                                                    Get get) {
  Builder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(end - begin)));
  for (size_t i = begin; i < end; ++i) builder.UnsafeAppend(get(block[i]));
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> Weights(
    const RowBlock& block, size_t begin, size_t end,
    const std::shared_ptr<arrow::DataType>& list_type) {
  const auto values = std::make_shared<arrow::FloatBuilder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), values, list_type);
  for (size_t i = begin; i < end; ++i) {
    const RowView row = block[i];
    ARROW_RETURN_NOT_OK(builder.Append());
    ARROW_RETURN_NOT_OK(
        values->AppendValues(row.weights.data(), static_cast<int64_t>(row.weights.size())));
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Table>> Group(const std::shared_ptr<arrow::Schema>& schema,
                                                   const RowBlock& block, size_t begin,
                                                   size_t end) {
  using arrow::UInt64Builder;
  ARROW_ASSIGN_OR_RAISE(auto key, Column<UInt64Builder>(block, begin, end, [](const RowView& row) {
                          return row.key.value;
                        }));
  ARROW_ASSIGN_OR_RAISE(auto weights, Weights(block, begin, end, schema->field(1)->type()));
  ARROW_ASSIGN_OR_RAISE(
      auto occurrences,
      Column<UInt64Builder>(block, begin, end, [](const RowView& row) { return row.occurrences; }));
  ARROW_ASSIGN_OR_RAISE(auto samples, Column<UInt64Builder>(block, begin, end, [](const auto& row) {
                          return row.samples;
                        }));
  ARROW_ASSIGN_OR_RAISE(auto last_step,
                        Column<arrow::Int64Builder>(
                            block, begin, end, [](const RowView& row) { return row.last_step; }));
  return arrow::Table::Make(schema, {key, weights, occurrences, samples, last_step});
}

arrow::Result<std::unique_ptr<parquet::arrow::FileWriter>> OpenWriter(const arrow::Schema& schema,
                                                                      const ArrowOutput& output) {
  const auto properties = parquet::WriterProperties::Builder()
                              .compression(parquet::Compression::ZSTD)
                              ->compression_level(kZstdLevel)
                              ->max_row_group_length(kGroupRows)
                              ->build();
  return parquet::arrow::FileWriter::Open(schema, arrow::default_memory_pool(), output.stream(),
                                          properties);
}

arrow::Status WriteBlock(parquet::arrow::FileWriter& writer,
                         const std::shared_ptr<arrow::Schema>& schema, const RowBlock& block) {
  for (size_t begin = 0; begin < block.size(); begin += kGroupRows) {
    const size_t end = std::min(block.size(), begin + kGroupRows);
    ARROW_ASSIGN_OR_RAISE(const auto group, Group(schema, block, begin, end));
    ARROW_RETURN_NOT_OK(writer.WriteTable(*group, kGroupRows));
  }
  return arrow::Status::OK();
}

}  // namespace

Status ExportParquet(FileSystem& fs, const CheckpointReader& reader, const TableEntry& table,
                     const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const auto output, ArrowOutput::Create(fs, path));
  const std::shared_ptr<arrow::Schema> schema = TableSchema();
  auto writer = OpenWriter(*schema, *output);
  if (!writer.ok()) return output->StatusOf(writer.status());
  TRESTLE_RETURN_IF_ERROR(ForAllBlocks(reader, table, [&](const RowBlock& block) {
    return output->StatusOf(WriteBlock(**writer, schema, block));
  }));
  TRESTLE_RETURN_IF_ERROR(output->StatusOf((*writer)->Close()));
  return output->Commit();
}

}  // namespace trestle
