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

}  // namespace

Unit::Unit(const std::vector<Source>& sources, const TextFiles& text, const ImportColumns& columns,
           bool keep_refused)
    : sources_(sources),
      text_(text),
      names_(columns),
      keep_refused_(keep_refused),
      stored_(StoredColumns(columns, keep_refused)),
      readers_(sources.size()),
      columns_(EmptyColumns(stored_)) {
  result_.accepted.resize(sources.size());
  result_.rejected.resize(sources.size());
}

RowReader& Unit::ReaderOf(size_t source) {
  if (!readers_[source]) readers_[source] = MakeRowReader(sources_[source], text_, names_);
  return *readers_[source];
}

void Unit::Add(size_t source, int64_t line, std::string_view record) {
  RowProblem problem;
  if (ReaderOf(source).Append(record, &columns_, &problem)) {
    ++result_.accepted[source];
    if (keep_refused_) columns_.back().AddMissing();
    return;
  }
  if (keep_refused_) return Keep(source, line, record, problem);
  // A quote that is not closed takes good lines along: each of them is a row that is lost.
  result_.rejected[source] += 1 + std::count(record.begin(), record.end(), '\n');
  result_.rejects.push_back({source, line, std::move(problem)});
  if (result_.rejects.size() >= 2 * kMostRejects) KeepFirst(&result_.rejects, kMostRejects);
}

// By itself, so that a bad cell does not take others along.
void Unit::KeepCell(size_t source, std::string_view record, const ImportColumn& column,
                    UnitColumn* out) {
  if (!column.stored_as().empty()) {
    ImportColumns alone;
    *alone.Add() = column;
    std::vector<UnitColumn> cells(1);
    std::swap(cells.front(), *out);
    RowProblem ignored;  // the row's own is kept
    const bool good =
        MakeRowReader(sources_[source], text_, alone)->Append(record, &cells, &ignored);
    std::swap(cells.front(), *out);
    if (good) return;
  }
  out->AddMissing();
}

void Unit::Keep(size_t source, int64_t line, std::string_view record, const RowProblem& problem) {
  const auto rows = 1 + std::count(record.begin(), record.end(), '\n');  // as in Add
  result_.accepted[source] += rows;
  for (int64_t row = 0; row < rows; ++row) {
    for (int c = 0; c < names_.size(); ++c) {
      KeepCell(source, record, names_[c], &columns_[static_cast<size_t>(c)]);
    }
    columns_.back().AddText(sources_[source].path + "\t" + std::to_string(line + row) + "\t" +
                            problem.column + "\t" + problem.reason);
  }
}

Result<UnitResult> Unit::Finish(FileSystem& fs, const std::string& path) {
  for (const UnitColumn& column : columns_) {
    result_.numeric.push_back(column.kind == NUMBER ? StatisticsOf(column) : NumericStatistics());
    result_.missing.push_back(column.missing);
  }
  KeepFirst(&result_.rejects, kMostRejects);
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
