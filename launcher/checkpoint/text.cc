#include "launcher/checkpoint/text.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>

#include "launcher/format.h"

namespace trestle {
namespace {

// Characters of UTF-8: bytes that go on with one are not counted.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string CountText(int64_t count) {
  std::string text = std::to_string(count);
  const int64_t first = count < 0 ? 1 : 0;
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > first; at -= 3) {
    text.insert(static_cast<size_t>(at), 1, ',');
  }
  return text;
}

std::string CountText(int64_t count, const std::string& one) {
  return CountText(count) + " " + one + (count == 1 ? "" : "s");
}

std::string BytesText(int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"kB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  for (; value >= 999.95 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return Format("%.1f %s", value, kUnits[unit]);
}

TextTable::TextTable(std::string alignment, std::vector<std::string> header)
    : alignment_(std::move(alignment)) {
  Add(std::move(header));
}

void TextTable::Add(std::vector<std::string> cells) {
  CHECK_EQ(cells.size(), alignment_.size());
  rows_.push_back(std::move(cells));
}

void TextTable::Print(std::ostream& out, const std::string& indent) const {
  std::vector<size_t> widths(alignment_.size(), 0);
  for (const auto& row : rows_) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], Width(row[c]));
  }
  for (const auto& row : rows_) {
    std::string line = indent;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string space(widths[c] - Width(row[c]), ' ');
      const bool last = c + 1 == row.size();
      if (alignment_[c] == 'r') line += space;
      line += row[c];
      if (!last) line += (alignment_[c] == 'l' ? space : "") + "  ";
    }
    out << line << "\n";
  }
}

}  // namespace trestle
