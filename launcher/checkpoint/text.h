// Numbers and tables as the checkpoint commands print them.
//
// Thread safety: pure functions; a TextTable belongs to one thread.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace trestle {

std::string CountText(int64_t count);                          // "1,234,567"
std::string CountText(int64_t count, const std::string& one);  // "1 row", "1,234 rows"
std::string BytesText(int64_t bytes);                          // "999 B", "5.6 MB": powers of 1000

// Cells in columns as wide as their widest cell; the last column is not padded.
class TextTable {
 public:
  // `alignment` has one letter a column: 'l' or 'r', how its cells are aligned.
  TextTable(std::string alignment, std::vector<std::string> header);
  // As many cells as the header has.
  void Add(std::vector<std::string> cells);
  void Print(std::ostream& out, const std::string& indent = "") const;

 private:
  const std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace trestle
