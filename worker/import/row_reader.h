// RowReader: appends the row that a record holds to the columns of a unit, or says why it is bad.
//
// Thread safety: one thread. Ownership: borrows columns' settings and source.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "worker/import/cache.pb.h"
#include "worker/import/source.h"
#include "worker/import/unit_columns.h"

namespace trestle {

using ImportColumns = google::protobuf::RepeatedPtrField<ImportColumn>;

// Why a row is refused; `column` is empty where the record as a whole is bad.
struct RowProblem {
  std::string column;
  std::string reason;
  // Quotes are wrong: where values may hold line feeds, the record then holds lines of others, which
  // are rows themselves.
  bool quotes = false;
};

class RowReader {
 public:
  virtual ~RowReader() = default;
  // False with a problem; the columns are then as they were. A cell that cannot be read is missing
  // in a column that only goes along (ImportColumn::stored_as), and refuses the row in others.
  bool Append(std::string_view record, std::vector<UnitColumn>* columns, RowProblem* problem);

 protected:
  explicit RowReader(const ImportColumns& columns) : columns_(columns) {}
  virtual bool AppendCells(std::string_view record, std::vector<UnitColumn>* columns,
                           RowProblem* problem) = 0;
  // A cell of a column that could not be appended: whether the row is refused, with that problem.
  static bool Refuses(const ImportColumn& column, UnitColumn* out, RowProblem* problem);
  const ImportColumns& columns_;

 private:
  bool InStep(const std::vector<UnitColumn>& columns, RowProblem* problem) const;
};

std::unique_ptr<RowReader> MakeRowReader(const Source& source, const TextFiles& text,
                                         const ImportColumns& columns);

// For MakeRowReader.
std::unique_ptr<RowReader> MakeDelimitedReader(const Source& source, const TextFiles& text,
                                               const ImportColumns& columns);
std::unique_ptr<RowReader> MakeJsonReader(const TextFiles& text, const ImportColumns& columns);

std::vector<UnitColumn> EmptyColumns(const ImportColumns& columns);

}  // namespace trestle
