#include "launcher/checkpoint/diff_config.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <sstream>

namespace trestle {
namespace {

using Lines = std::span<const std::string>;

constexpr size_t kCells = size_t{4000} * 4000;  // of 4 bytes: 64 MB

// "tables {", "  dim: 8", "}" become "tables.dim: 8".
std::vector<std::string> WithPaths(const std::string& text) {
  std::vector<std::string> lines;
  std::vector<std::string> around;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    line.erase(0, line.find_first_not_of(' '));
    if (line.ends_with(" {")) {
      around.push_back(line.substr(0, line.size() - 2));
    } else if (line == "}" && !around.empty()) {
      around.pop_back();
    } else if (!line.empty()) {
      std::string path;
      for (const std::string& name : around) path += name + ".";
      lines.push_back(path + line);
    }
  }
  return lines;
}

// length[i][j] is that of the longest common subsequence of a[i..] and b[j..].
class CommonLengths {
 public:
  CommonLengths(Lines a, Lines b) : width_(b.size() + 1), lengths_((a.size() + 1) * width_, 0) {
    for (size_t i = a.size(); i-- > 0;) {
      for (size_t j = b.size(); j-- > 0;) {
        At(i, j) = a[i] == b[j] ? At(i + 1, j + 1) + 1 : std::max(At(i + 1, j), At(i, j + 1));
      }
    }
  }
  uint32_t& At(size_t i, size_t j) { return lengths_[i * width_ + j]; }

 private:
  const size_t width_;
  std::vector<uint32_t> lengths_;
};

void TrimEqualEnds(Lines* a, Lines* b) {
  const auto begin = std::ranges::mismatch(*a, *b);
  const auto equal = static_cast<size_t>(begin.in1 - a->begin());
  *a = a->subspan(equal);
  *b = b->subspan(equal);
  while (!a->empty() && !b->empty() && a->back() == b->back()) {
    *a = a->first(a->size() - 1);
    *b = b->first(b->size() - 1);
  }
}

std::vector<std::string> Walk(Lines a, Lines b) {
  CommonLengths lengths(a, b);
  std::vector<std::string> out;
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      ++i, ++j;
    } else if (j == b.size() || (i < a.size() && lengths.At(i + 1, j) >= lengths.At(i, j + 1))) {
      out.push_back("- " + a[i++]);
    } else {
      out.push_back("+ " + b[j++]);
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> DiffConfigs(const std::string& a, const std::string& b) {
  const std::vector<std::string> lines_a = WithPaths(a), lines_b = WithPaths(b);
  Lines left(lines_a), right(lines_b);
  TrimEqualEnds(&left, &right);
  if ((left.size() + 1) * (right.size() + 1) <= kCells) return Walk(left, right);
  std::vector<std::string> out;
  for (const std::string& line : left) out.push_back("- " + line);
  for (const std::string& line : right) out.push_back("+ " + line);
  return out;
}

}  // namespace trestle
