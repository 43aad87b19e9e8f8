#include "launcher/init/profile.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "worker/import/cells.h"

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

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

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
    if (const auto value = ParseNumber(cell)) {
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
  std::string_view text = cell;
  const bool brackets = text.size() >= 2 && text.front() == '[' && text.back() == ']';
  if (brackets) text = text.substr(1, text.size() - 2);
  if (brackets) separator = ',';
  std::vector<std::string> items;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    std::string_view item = Trimmed(text.substr(0, end));
    if (brackets && item.size() >= 2 && item.front() == item.back() &&
        (item.front() == '"' || item.front() == '\'')) {
      item = item.substr(1, item.size() - 2);
    }
    items.emplace_back(item);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return items;
}

}  // namespace trestle
