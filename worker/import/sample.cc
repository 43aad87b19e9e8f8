#include "worker/import/sample.h"

#include <nlohmann/json.hpp>

#include "worker/import/fields.h"
#include "worker/import/records.h"

namespace trestle {
namespace {

using Cells = std::vector<std::string>;

// The cells of a record, in the order of the source's columns; empty if it is no row.
class CellSplitter {
 public:
  explicit CellSplitter(const Source& source)
      : source_(source), splitter_(source.delimiter, source.quote), text_(source.columns.size()) {}

  Cells Split(std::string_view record) {
    return source_.kind == SourceKind::kDelimited ? SplitFields(record) : SplitJson(record);
  }

  const std::vector<bool>& text() const { return text_; }

 private:
  static bool IsText(const nlohmann::json& value) {
    return value.is_string() || (value.is_array() && !value.empty() && value.front().is_string());
  }

  // As a cell of a CSV file would hold it; it cannot hold all that JSON can, which does not matter
  // to those who look at a sample.
  static std::string Text(nlohmann::json value) {
    if (value.is_string()) return value.get<std::string>();
    for (nlohmann::json& item : value) {
      if (!value.is_array() || !item.is_string()) continue;
      for (char& c : item.get_ref<std::string&>()) {
        if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '_';
      }
    }
    return value.dump();
  }

  Cells SplitFields(std::string_view record) {
    const char* problem = splitter_.Split(record, &fields_);
    if (problem != nullptr || fields_.size() != source_.columns.size()) return {};
    return {fields_.begin(), fields_.end()};
  }

  Cells SplitJson(std::string_view record) {
    const auto object = nlohmann::json::parse(record, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) return {};
    Cells cells;
    for (size_t c = 0; c < source_.columns.size(); ++c) {
      const auto member = object.find(source_.columns[c]);
      const bool there = member != object.end() && !member->is_null();
      if (there && IsText(*member)) text_[c] = true;
      cells.push_back(there ? Text(*member) : "");
    }
    return cells;
  }

  const Source& source_;
  FieldSplitter splitter_;
  std::vector<std::string_view> fields_;
  std::vector<bool> text_;
};

}  // namespace

Result<Sample> TakeSample(const Source& source, const TextFiles& text, int64_t most_bytes) {
  Sample sample;
  sample.names = source.columns;
  sample.cells.resize(source.columns.size());
  const char quote = source.record_quote(text);
  TRESTLE_ASSIGN_OR_RETURN(const auto records, OpenRecords(source, text, source.columns));
  TRESTLE_ASSIGN_OR_RETURN(const RecordChunk chunk, records->Next(most_bytes));
  RecordCursor cursor(chunk.bytes, 1, quote);
  CellSplitter splitter(source);
  std::string_view record;
  int64_t line = 0;
  if (source.header) cursor.Next(&record, &line);
  while (cursor.Next(&record, &line)) {
    Cells cells = splitter.Split(record);
    if (cells.empty()) {
      ++sample.bad_rows;
      continue;
    }
    for (size_t c = 0; c < cells.size(); ++c) sample.cells[c].push_back(std::move(cells[c]));
    ++sample.rows;
  }
  sample.text = splitter.text();
  if (source.kind == SourceKind::kBlocks) {
    sample.rows_in_file = source.rows;
    return sample;
  }
  const double read = static_cast<double>(records->file_bytes());
  const double rows = static_cast<double>(sample.rows + sample.bad_rows);
  sample.rows_in_file =
      read > 0 ? static_cast<int64_t>(rows * static_cast<double>(source.bytes) / read) : 0;
  return sample;
}

}  // namespace trestle
