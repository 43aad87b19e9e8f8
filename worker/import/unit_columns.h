// The columns of one unit of the import (a bucket of shuffled rows, or a stretch of a file) while
// its rows are appended: plain vectors, one a column, that a row can be taken back from as long as
// it is the last.
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/import/cache.pb.h"

namespace trestle {

// Cells (or items of lists) and, of lists, where each row's items end.
struct UnitColumn {
  CellKind kind = NUMBER;
  std::vector<int64_t> integers;
  std::vector<double> numbers;
  std::string text;                // strings, one behind the other
  std::vector<int32_t> text_ends;  // of each string
  std::vector<int32_t> list_ends;  // of each row's items
  std::vector<uint8_t> valid;      // of each row; a missing list is an empty one, and valid
  int64_t missing = 0;             // rows that are not valid

  bool is_list() const { return kind == INTEGER_IDS || kind == STRING_IDS; }
  bool is_text() const { return kind == STRING_ID || kind == STRING_IDS; }
  size_t items() const { return is_text() ? text_ends.size() : integers.size(); }

  // One row.
  void AddMissing();
  void AddInteger(int64_t value);
  void AddNumber(double value);
  void AddText(std::string_view value);
  // A row of a list: its items, then its end.
  void AddIntegerItem(int64_t value) { integers.push_back(value); }
  void AddTextItem(std::string_view value);
  void EndList();

  // Leaves the first `rows` rows, and no items of a list that has not ended.
  void Truncate(size_t rows);
};

}  // namespace trestle
