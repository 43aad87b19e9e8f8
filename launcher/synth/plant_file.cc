#include "launcher/synth/plant_file.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

namespace trestle {
namespace {

// Fixed, so that an upgrade of the library does not change the file's codec behind our back.
constexpr int kZstdLevel = 1;

Status Failed(const std::string& path, const arrow::Status& status) {
  return {StatusCode::kIoError, path + ": cannot write: " + status.message()};
}

arrow::Result<std::shared_ptr<arrow::Array>> Finish(arrow::ArrayBuilder* builder) {
  std::shared_ptr<arrow::Array> array;
  ARROW_RETURN_NOT_OK(builder->Finish(&array));
  return array;
}

// One value of each row.
template <class Builder, class Get>
arrow::Result<std::shared_ptr<arrow::Array>> Column(std::span<const PlantRow> rows, Get get) {
  Builder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(rows.size())));
  for (const PlantRow& row : rows) ARROW_RETURN_NOT_OK(builder.Append(get(row)));
  return Finish(&builder);
}

// One list of ids of each row.
template <class Get>
arrow::Result<std::shared_ptr<arrow::Array>> Lists(std::span<const PlantRow> rows, Get get) {
  auto values = std::make_shared<arrow::Int64Builder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), values);
  for (const PlantRow& row : rows) {
    ARROW_RETURN_NOT_OK(builder.Append());
    for (int i = 0; i < row.history; ++i) ARROW_RETURN_NOT_OK(values->Append(get(row)[i] + 1));
  }
  return Finish(&builder);
}

arrow::Result<std::shared_ptr<arrow::Table>> DataTable(const std::shared_ptr<arrow::Schema>& schema,
                                                       const PlantRows& rows) {
  using arrow::Int64Builder;
  const auto r = rows.rows;
  ARROW_ASSIGN_OR_RAISE(auto user, Column<Int64Builder>(r, [](auto& x) { return x.user + 1; }));
  ARROW_ASSIGN_OR_RAISE(auto item, Column<Int64Builder>(r, [](auto& x) { return x.item + 1; }));
  ARROW_ASSIGN_OR_RAISE(auto cate, Column<Int64Builder>(r, [](auto& x) { return x.category + 1; }));
  ARROW_ASSIGN_OR_RAISE(auto hist_item, Lists(r, [](auto& x) { return x.history_item.data(); }));
  ARROW_ASSIGN_OR_RAISE(auto hist_cate,
                        Lists(r, [](auto& x) { return x.history_category.data(); }));
  ARROW_ASSIGN_OR_RAISE(auto click, Column<arrow::Int8Builder>(
                                        r, [](auto& x) { return static_cast<int8_t>(x.click); }));
  return arrow::Table::Make(schema, {user, item, cate, hist_item, hist_cate, click});
}

arrow::Result<std::shared_ptr<arrow::Table>> OracleTable(
    const std::shared_ptr<arrow::Schema>& schema, const PlantRows& rows) {
  int64_t next = rows.first;
  ARROW_ASSIGN_OR_RAISE(auto split,
                        Column<arrow::StringBuilder>(rows.rows, [&](auto&) { return rows.split; }));
  ARROW_ASSIGN_OR_RAISE(auto row,
                        Column<arrow::Int64Builder>(rows.rows, [&](auto&) { return next++; }));
  ARROW_ASSIGN_OR_RAISE(auto probability, Column<arrow::FloatBuilder>(
                                              rows.rows, [](auto& x) { return x.probability; }));
  return arrow::Table::Make(schema, {split, row, probability});
}

class ParquetFile : public PlantFile {
 public:
  using ToTable = arrow::Result<std::shared_ptr<arrow::Table>> (*)(
      const std::shared_ptr<arrow::Schema>&, const PlantRows&);

  ParquetFile(std::string path, std::shared_ptr<arrow::Schema> schema, ToTable to_table)
      : path_(std::move(path)), schema_(std::move(schema)), to_table_(to_table) {}

  Status Open() {
    if (const arrow::Status status = OpenArrow(); !status.ok()) return Failed(path_, status);
    return Ok();
  }

  Status Write(const PlantRows& rows) override {
    if (const arrow::Status status = WriteArrow(rows); !status.ok()) return Failed(path_, status);
    return Ok();
  }

  Status Close() override {
    arrow::Status status = writer_->Close();
    if (status.ok()) status = file_->Close();
    if (!status.ok()) return Failed(path_, status);
    return Ok();
  }

 private:
  arrow::Status OpenArrow() {
    ARROW_ASSIGN_OR_RAISE(file_, arrow::io::FileOutputStream::Open(path_));
    const auto properties = parquet::WriterProperties::Builder()
                                .compression(parquet::Compression::ZSTD)
                                ->compression_level(kZstdLevel)
                                ->max_row_group_length(kPlantGroupRows)
                                ->build();
    ARROW_ASSIGN_OR_RAISE(writer_, parquet::arrow::FileWriter::Open(
                                       *schema_, arrow::default_memory_pool(), file_, properties));
    return arrow::Status::OK();
  }

  arrow::Status WriteArrow(const PlantRows& rows) {
    ARROW_ASSIGN_OR_RAISE(const auto table, to_table_(schema_, rows));
    return writer_->WriteTable(*table, kPlantGroupRows);
  }

  std::string path_;
  std::shared_ptr<arrow::Schema> schema_;
  ToTable to_table_;
  std::shared_ptr<arrow::io::FileOutputStream> file_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

Result<std::unique_ptr<PlantFile>> Create(const std::string& path,
                                          std::shared_ptr<arrow::Schema> schema,
                                          ParquetFile::ToTable to_table) {
  auto file = std::make_unique<ParquetFile>(path, std::move(schema), to_table);
  TRESTLE_RETURN_IF_ERROR(file->Open());
  return std::unique_ptr<PlantFile>(std::move(file));
}

}  // namespace

Result<std::unique_ptr<PlantFile>> CreatePlantData(const std::string& path) {
  const auto ids = arrow::list(arrow::int64());
  return Create(
      path,
      arrow::schema({arrow::field("user", arrow::int64()), arrow::field("item", arrow::int64()),
                     arrow::field("cate", arrow::int64()), arrow::field("hist_item", ids),
                     arrow::field("hist_cate", ids), arrow::field("click", arrow::int8())}),
      DataTable);
}

Result<std::unique_ptr<PlantFile>> CreatePlantOracle(const std::string& path) {
  return Create(
      path,
      arrow::schema({arrow::field("split", arrow::utf8()), arrow::field("row", arrow::int64()),
                     arrow::field("probability", arrow::float32())}),
      OracleTable);
}

}  // namespace trestle
