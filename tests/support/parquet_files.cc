#include "tests/support/parquet_files.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <arrow/json/from_string.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <glog/logging.h>
#include <parquet/arrow/writer.h>

#include <map>

namespace trestle {
namespace {

void Require(const arrow::Status& status) { CHECK(status.ok()) << status.ToString(); }

template <class T>
T Require(arrow::Result<T> result) {
  Require(result.status());
  return std::move(result).ValueUnsafe();
}

std::shared_ptr<arrow::DataType> ParseType(const std::string& text) {
  static const std::map<std::string, std::shared_ptr<arrow::DataType>> simple = {
      {"int8", arrow::int8()},     {"int16", arrow::int16()},
      {"int32", arrow::int32()},   {"int64", arrow::int64()},
      {"uint8", arrow::uint8()},   {"uint16", arrow::uint16()},
      {"uint32", arrow::uint32()}, {"uint64", arrow::uint64()},
      {"float", arrow::float32()}, {"double", arrow::float64()},
      {"bool", arrow::boolean()},  {"halffloat", arrow::float16()},
      {"string", arrow::utf8()},   {"large_string", arrow::large_utf8()},
      {"date32", arrow::date32()}};
  const auto found = simple.find(text);
  if (found != simple.end()) return found->second;
  const size_t open = text.find('<');
  CHECK(open != std::string::npos && text.back() == '>') << "type " << text;
  const auto inner = ParseType(text.substr(open + 1, text.size() - open - 2));
  const std::string outer = text.substr(0, open);
  if (outer == "list") return arrow::list(inner);
  if (outer == "large_list") return arrow::large_list(inner);
  CHECK_EQ(outer, "dictionary");
  return arrow::dictionary(arrow::int32(), inner);
}

std::shared_ptr<arrow::Table> MakeTable(const std::vector<FileColumn>& columns) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (const FileColumn& column : columns) {
    fields.push_back(arrow::field(column.name, column.values->type()));
    arrays.push_back(column.values);
    CHECK_EQ(column.values->length(), columns[0].values->length()) << column.name;
  }
  return arrow::Table::Make(arrow::schema(fields), arrays);
}

}  // namespace

std::shared_ptr<arrow::Array> Values(const std::string& type, const std::string& json) {
  return Require(arrow::json::ArrayFromJSONString(ParseType(type), json));
}

std::shared_ptr<arrow::Array> Int64s(const std::vector<int64_t>& values) {
  arrow::Int64Builder builder;
  Require(builder.AppendValues(values));
  return Require(builder.Finish());
}

std::shared_ptr<arrow::Array> Doubles(const std::vector<double>& values) {
  arrow::DoubleBuilder builder;
  Require(builder.AppendValues(values));
  return Require(builder.Finish());
}

std::shared_ptr<arrow::Array> Int64Lists(const std::vector<std::vector<int64_t>>& lists) {
  auto items = std::make_shared<arrow::Int64Builder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), items);
  for (const auto& list : lists) {
    Require(builder.Append());
    Require(items->AppendValues(list));
  }
  return Require(builder.Finish());
}

void WriteParquet(const std::string& path, const std::vector<FileColumn>& columns,
                  int64_t group_rows) {
  const auto out = Require(arrow::io::FileOutputStream::Open(path));
  const auto properties =
      parquet::WriterProperties::Builder().max_row_group_length(group_rows)->build();
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  Require(parquet::arrow::WriteTable(*MakeTable(columns), arrow::default_memory_pool(), out,
                                     group_rows, properties, arrow_properties));
  Require(out->Close());
}

void WriteIpc(const std::string& path, const std::vector<FileColumn>& columns, int64_t batch_rows) {
  const auto out = Require(arrow::io::FileOutputStream::Open(path));
  const auto table = MakeTable(columns);
  const auto writer = Require(arrow::ipc::MakeFileWriter(out, table->schema()));
  Require(writer->WriteTable(*table, batch_rows));
  Require(writer->Close());
  Require(out->Close());
}

}  // namespace trestle
