#include "launcher/init/profile.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "worker/import/cells.h"
#include "worker/import/list_cursor.h"

namespace trestle {
namespace {

void AddNumbers(std::vector<double> values, ColumnProfile* profile) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const double x : values) sum += x;
  profile->min = values.front();
  profile->max = values.back();
  profile->mean = sum / static_cast<double>(values.size());
  profile->median = values[values.size() / 2];
}

}  // namespace

std::optional<double> FiniteNumber(const std::string& cell) {
  const auto value = ParseNumber(cell);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

ColumnProfile ProfileOf(const std::string& name, const std::vector<std::string>& cells) {
  ColumnProfile profile;
  profile.name = name;
  std::vector<double> values;
  double bytes = 0;
  for (const std::string& cell : cells) {
    const bool token = std::find(std::begin(kMissingTexts), std::end(kMissingTexts), cell) !=
                       std::end(kMissingTexts);
    if (cell.empty() || token) {
      ++profile.missing;
      auto& texts = profile.missing_texts;
      if (token && std::find(texts.begin(), texts.end(), cell) == texts.end()) {
        texts.push_back(cell);
      }
      continue;
    }
    ++profile.cells;
    bytes += static_cast<double>(cell.size());
    profile.distinct.insert(cell);
    profile.integers += ParseInteger(cell) ? 1 : 0;
    if (const auto value = FiniteNumber(cell)) {
      ++profile.numbers;
      values.push_back(*value);
    }
    if (const auto time = ParseTime(cell)) {
      ++profile.times;
      profile.clocks += *time % 86'400 != 0 ? 1 : 0;
    }
    profile.in_brackets += cell.starts_with('[') && cell.ends_with(']') ? 1 : 0;
  }
  AddNumbers(std::move(values), &profile);
  if (profile.cells > 0) profile.mean_length = bytes / static_cast<double>(profile.cells);
  return profile;
}

std::vector<std::string> ItemsOf(const std::string& cell, char separator) {
  std::vector<std::string> items;
  ListCursor cursor(cell, separator);
  for (std::string_view item; cursor.Next(&item);) {
    items.emplace_back(ParseInteger(Trimmed(item)) ? Trimmed(item) : item);
  }
  if (cursor.problem() != nullptr) items.emplace_back();
  return items;
}

}  // namespace trestle
