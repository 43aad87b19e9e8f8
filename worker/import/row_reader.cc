#include "worker/import/row_reader.h"

#include <algorithm>

#include "worker/import/cells.h"
#include "worker/import/fields.h"

namespace trestle {
namespace {

class DelimitedReader final : public RowReader {
 public:
  DelimitedReader(const Source& source, const TextFiles& text, const ImportColumns& columns)
      : RowReader(columns),
        splitter_(source.delimiter, source.quote),
        width_(source.columns.size()),
        missing_(text.missing().begin(), text.missing().end()) {
    for (const ImportColumn& column : columns) {
      const auto at = std::find(source.columns.begin(), source.columns.end(), column.name());
      field_.push_back(static_cast<size_t>(at - source.columns.begin()));
    }
  }

 protected:
  bool AppendCells(std::string_view record, std::vector<UnitColumn>* columns,
                   RowProblem* problem) override {
    if (const char* wrong = splitter_.Split(record, &fields_)) {
      problem->reason = wrong;
      problem->quotes = true;
      return false;
    }
    if (fields_.size() != width_) {
      problem->reason =
          "has " + std::to_string(fields_.size()) + " fields, expected " + std::to_string(width_);
      return false;
    }
    for (size_t c = 0; c < field_.size(); ++c) {
      const ImportColumn& column = columns_[static_cast<int>(c)];
      const std::string_view cell = fields_[field_[c]];
      UnitColumn* const out = &(*columns)[c];
      const bool added = IsMissing(cell) ? AppendMissing(column, out, &problem->reason)
                                         : AppendCell(column, cell, out, &problem->reason);
      if (!added && Refuses(column, out, problem)) return false;
    }
    return true;
  }

 private:
  bool IsMissing(std::string_view cell) const {
    return cell.empty() || std::find(missing_.begin(), missing_.end(), cell) != missing_.end();
  }

  FieldSplitter splitter_;
  const size_t width_;
  const std::vector<std::string> missing_;
  std::vector<size_t> field_;  // of each column
  std::vector<std::string_view> fields_;
};

}  // namespace

bool RowReader::Append(std::string_view record, std::vector<UnitColumn>* columns,
                       RowProblem* problem) {
  const size_t rows = columns->front().valid.size();
  if (AppendCells(record, columns, problem) && InStep(*columns, problem)) return true;
  for (UnitColumn& column : *columns) column.Truncate(rows);
  return false;
}

bool RowReader::Refuses(const ImportColumn& column, UnitColumn* out, RowProblem* problem) {
  if (!column.stored_as().empty()) {
    problem->reason.clear();
    out->AddMissing();
    return false;
  }
  problem->column = column.name();
  return true;
}

bool RowReader::InStep(const std::vector<UnitColumn>& columns, RowProblem* problem) const {
  int leader = -1, items = 0;
  for (int c = 0; c < columns_.size(); ++c) {
    if (columns_[c].in_step() == 0) continue;
    const std::vector<int32_t>& ends = columns[static_cast<size_t>(c)].list_ends;
    const int32_t found = ends.back() - (ends.size() > 1 ? ends[ends.size() - 2] : 0);
    if (leader < 0 || columns_[leader].in_step() != columns_[c].in_step()) {
      leader = c;
      items = found;
    } else if (found != items) {
      problem->column = columns_[c].name();
      problem->reason = columns_[c].name() + " has " + std::to_string(found) + " items, " +
                        columns_[leader].name() + " has " + std::to_string(items);
      return false;
    }
  }
  return true;
}

std::unique_ptr<RowReader> MakeDelimitedReader(const Source& source, const TextFiles& text,
                                               const ImportColumns& columns) {
  return std::make_unique<DelimitedReader>(source, text, columns);
}

std::unique_ptr<RowReader> MakeRowReader(const Source& source, const TextFiles& text,
                                         const ImportColumns& columns) {
  if (source.kind != SourceKind::kDelimited) return MakeJsonReader(text, columns);
  return MakeDelimitedReader(source, text, columns);
}

std::vector<UnitColumn> EmptyColumns(const ImportColumns& columns) {
  std::vector<UnitColumn> empty(static_cast<size_t>(columns.size()));
  for (size_t c = 0; c < empty.size(); ++c) empty[c].kind = columns[static_cast<int>(c)].kind();
  return empty;
}

}  // namespace trestle
