// Unit: what one thread imports at a time and one file of the cache holds: a bucket of shuffled
// rows or a stretch of a file. Records become rows; what is refused is kept with its place.
//
// Thread safety: one thread a unit.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "worker/import/row_reader.h"
#include "worker/import/source.h"
#include "worker/input.h"

namespace trestle {

// A bad row.
struct Reject {
  size_t source = 0;
  int64_t line = 0;
  RowProblem problem;
};

// What came of a unit.
struct UnitResult {
  CacheFile file;                           // of no rows: none was written
  std::vector<int64_t> accepted, rejected;  // rows of each source
  std::vector<NumericStatistics> numeric;   // of each column; of others empty
  std::vector<int64_t> missing;             // of each column
  std::vector<Reject> rejects;              // the first kMostRejects
};

// That a unit keeps, and that a part's reject file has.
inline constexpr size_t kMostRejects = 100'000;

// Where bad rows are kept.
inline constexpr char kRefused[] = "trestle.refused";

class Unit {
 public:
  // With `keep_refused` a bad row is a row too: its cells are missing, but for those of columns
  // that only go along (RowReader), where the record has them; and one more column, kRefused, has
  // its line of the reject file, and is null for other rows.
  Unit(const std::vector<Source>& sources, const TextFiles& text, const ImportColumns& columns,
       bool keep_refused);

  void Add(size_t source, int64_t line, std::string_view record);
  size_t rows() const { return columns_.front().valid.size(); }
  // Writes the rows, if any, to `path`. Nothing may be added afterwards.
  Result<UnitResult> Finish(FileSystem& fs, const std::string& path);

 private:
  using Readers = std::vector<std::unique_ptr<RowReader>>;  // of each source, made when needed
  RowReader& ReaderOf(size_t source, const ImportColumns& columns, Readers* readers);
  void Refuse(size_t source, int64_t line, std::string_view record, RowProblem problem);
  void Keep(size_t source, int64_t line, std::string_view record, const RowProblem& problem);
  // Appends a row of what goes along with the record, and of nothing else.
  void KeepCells(size_t source, std::string_view record);

  const std::vector<Source>& sources_;
  const TextFiles& text_;
  const ImportColumns& names_;
  const bool keep_refused_;
  ImportColumns stored_;       // as names_, and kRefused
  ImportColumns go_along_;     // of names_, those that only do
  std::vector<size_t> along_;  // where they are in names_
  Readers readers_, along_readers_;
  std::vector<UnitColumn> columns_;
  UnitResult result_;
};

// The first `most` rejects in the order of (source, line).
void KeepFirst(std::vector<Reject>* rejects, size_t most);

}  // namespace trestle
