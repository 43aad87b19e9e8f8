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
};

class RowReader {
 public:
  virtual ~RowReader() = default;
  // False with a problem; the columns are then as they were.
  bool Append(std::string_view record, std::vector<UnitColumn>* columns, RowProblem* problem);

 protected:
  explicit RowReader(const ImportColumns& columns) : columns_(columns) {}
  virtual bool AppendCells(std::string_view record, std::vector<UnitColumn>* columns,
                           RowProblem* problem) = 0;
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
