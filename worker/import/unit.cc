#include "worker/import/unit.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "worker/import/unit_file.h"

namespace trestle {
namespace {

NumericStatistics StatisticsOf(const UnitColumn& column) {
  NumericStatistics s;
  s.count = static_cast<int64_t>(column.valid.size()) - column.missing;
  if (s.count == 0) return s;
  bool first = true;
  double sum = 0, squares = 0;
  for (size_t i = 0; i < column.valid.size(); ++i) {
    if (!column.valid[i]) continue;
    const double x = column.numbers[i];
    sum += x;
    s.min = first ? x : std::min(s.min, x);
    s.max = first ? x : std::max(s.max, x);
    first = false;
  }
  const auto n = static_cast<double>(s.count);
  s.mean = sum / n;
  for (size_t i = 0; i < column.valid.size(); ++i) {
    if (column.valid[i]) squares += (column.numbers[i] - s.mean) * (column.numbers[i] - s.mean);
  }
  s.std = std::sqrt(squares / n);
  return s;
}

ImportColumns StoredColumns(ImportColumns columns, bool keep_refused) {
  if (!keep_refused) return columns;
  ImportColumn* const refused = columns.Add();
  refused->set_name(kRefused);
  refused->set_kind(STRING_ID);
  return columns;
}

// Their offsets have 32 bits, and reasons may be longer than their rows.
Status CheckTexts(const std::vector<UnitColumn>& columns) {
  for (const UnitColumn& column : columns) {
    if (column.text.size() <= INT32_MAX) continue;
    return {StatusCode::kInvalidData,
            "too many bad rows in one place of the input to list them; is data.text right?"};
  }
  return {};
}

// Each row that is lost with a bad record, with the number of lines before it in the record. It is
// one row, unless its quotes are wrong; no blank line is a row.
template <class Visit>
void ForEachRow(std::string_view record, const RowProblem& problem, const Visit& visit) {
  if (!problem.quotes) return visit(0);
  for (int64_t line = 0; !record.empty(); ++line) {
    const size_t end = std::min(record.find('\n'), record.size());
    const std::string_view text = record.substr(0, end);
    if (!text.empty() && text != "\r") visit(line);
    record.remove_prefix(std::min(end + 1, record.size()));
  }
}

}  // namespace

Unit::Unit(const std::vector<Source>& sources, const TextFiles& text, const ImportColumns& columns,
           bool keep_refused)
    : sources_(sources),
      text_(text),
      names_(columns),
      keep_refused_(keep_refused),
      stored_(StoredColumns(columns, keep_refused)),
      readers_(sources.size()),
      along_readers_(sources.size()),
      columns_(EmptyColumns(stored_)) {
  for (int c = 0; c < columns.size(); ++c) {
    if (columns[c].stored_as().empty()) continue;
    *go_along_.Add() = columns[c];
    along_.push_back(static_cast<size_t>(c));
  }
  result_.accepted.resize(sources.size());
  result_.rejected.resize(sources.size());
}

RowReader& Unit::ReaderOf(size_t source, const ImportColumns& columns, Readers* readers) {
  auto& reader = (*readers)[source];
  if (!reader) reader = MakeRowReader(sources_[source], text_, columns);
  return *reader;
}

void Unit::Add(size_t source, int64_t line, std::string_view record) {
  RowProblem problem;
  if (ReaderOf(source, names_, &readers_).Append(record, &columns_, &problem)) {
    ++result_.accepted[source];
    if (keep_refused_) columns_.back().AddMissing();
  } else if (keep_refused_) {
    Keep(source, line, record, problem);
  } else {
    Refuse(source, line, record, std::move(problem));
  }
}

void Unit::Refuse(size_t source, int64_t line, std::string_view record, RowProblem problem) {
  ForEachRow(record, problem, [&](int64_t) { ++result_.rejected[source]; });
  result_.rejects.push_back({source, line, std::move(problem)});
  if (result_.rejects.size() >= 2 * kMostRejects) KeepFirst(&result_.rejects, kMostRejects);
}

void Unit::Keep(size_t source, int64_t line, std::string_view record, const RowProblem& problem) {
  const std::string behind = "\t" + problem.column + "\t" + problem.reason;
  ForEachRow(record, problem, [&](int64_t lines_before) {
    ++result_.accepted[source];
    // Which cells of a record with wrong quotes belong to which of its lines, nobody knows.
    KeepCells(source, problem.quotes ? std::string_view() : record);
    columns_.back().AddText(sources_[source].path + "\t" + std::to_string(line + lines_before) +
                            behind);
  });
}

void Unit::KeepCells(size_t source, std::string_view record) {
  std::vector<UnitColumn> cells(along_.size());
  for (size_t i = 0; i < along_.size(); ++i) std::swap(cells[i], columns_[along_[i]]);
  RowProblem ignored;  // the row's own is kept
  const bool there = !record.empty() && !cells.empty() &&
                     ReaderOf(source, go_along_, &along_readers_).Append(record, &cells, &ignored);
  for (size_t i = 0; i < along_.size(); ++i) std::swap(cells[i], columns_[along_[i]]);
  for (size_t c = 0; c < columns_.size() - 1; ++c) {
    const bool has_it = there && std::binary_search(along_.begin(), along_.end(), c);
    if (!has_it) columns_[c].AddMissing();
  }
}

Result<UnitResult> Unit::Finish(FileSystem& fs, const std::string& path) {
  for (const UnitColumn& column : columns_) {
    result_.numeric.push_back(column.kind == NUMBER ? StatisticsOf(column) : NumericStatistics());
    result_.missing.push_back(column.missing);
  }
  KeepFirst(&result_.rejects, kMostRejects);
  TRESTLE_RETURN_IF_ERROR(CheckTexts(columns_));
  if (rows() > 0) {
    TRESTLE_ASSIGN_OR_RETURN(result_.file, WriteUnitFile(fs, path, stored_, &columns_));
  }
  return std::move(result_);
}

void KeepFirst(std::vector<Reject>* rejects, size_t most) {
  std::sort(rejects->begin(), rejects->end(), [](const Reject& a, const Reject& b) {
    return std::tie(a.source, a.line) < std::tie(b.source, b.line);
  });
  if (rejects->size() > most) rejects->resize(most);
}

}  // namespace trestle
