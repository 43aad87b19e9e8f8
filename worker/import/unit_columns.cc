#include "worker/import/unit_columns.h"

namespace trestle {

void UnitColumn::AddMissing() {
  if (is_list()) return EndList();
  if (kind == NUMBER) numbers.push_back(0);
  if (kind == INTEGER_ID) integers.push_back(0);
  if (kind == STRING_ID) text_ends.push_back(static_cast<int32_t>(text.size()));
  valid.push_back(0);
  ++missing;
}

void UnitColumn::AddInteger(int64_t value) {
  integers.push_back(value);
  valid.push_back(1);
}

void UnitColumn::AddNumber(double value) {
  numbers.push_back(value);
  valid.push_back(1);
}

void UnitColumn::AddText(std::string_view value) {
  AddTextItem(value);
  valid.push_back(1);
}

void UnitColumn::AddTextItem(std::string_view value) {
  text.append(value);
  text_ends.push_back(static_cast<int32_t>(text.size()));
}

void UnitColumn::EndList() {
  list_ends.push_back(static_cast<int32_t>(items()));
  valid.push_back(1);
}

void UnitColumn::Truncate(size_t rows) {
  while (valid.size() > rows) {
    missing -= valid.back() == 0 ? 1 : 0;
    valid.pop_back();
  }
  size_t cells = rows;
  if (is_list()) {
    if (list_ends.size() > rows) list_ends.resize(rows);
    cells = rows == 0 ? 0 : static_cast<size_t>(list_ends.back());
  }
  if (integers.size() > cells) integers.resize(cells);
  if (numbers.size() > cells) numbers.resize(cells);
  if (text_ends.size() > cells) {
    text_ends.resize(cells);
    text.resize(cells == 0 ? 0 : static_cast<size_t>(text_ends.back()));
  }
}

}  // namespace trestle
