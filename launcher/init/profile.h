// What is seen of a column in a sample of its file: how many cells are missing, of which kinds they
// could be, how many different ones there are. Facts alone; guess.h draws the conclusions.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace trestle {

struct ColumnProfile {
  std::string name;
  int64_t cells = 0;                                         // not missing
  int64_t missing = 0;                                       // empty, or one of kMissingTexts
  std::vector<std::string> missing_texts;                    // of those, that occur
  int64_t integers = 0, numbers = 0, times = 0, clocks = 0;  // cells that are such; clocks: times
                                                             // that are not midnight
  int64_t in_brackets = 0;
  double min = 0, max = 0, mean = 0, median = 0;  // of numbers
  double mean_length = 0;                         // of cells, in bytes
  std::unordered_set<std::string> distinct;       // cells
};

// What many files write where nothing is known.
inline constexpr const char* kMissingTexts[] = {"NULL", "null", "NA",  "N/A",  "nan",
                                                "NaN",  "None", "\\N", "none", "n/a"};

ColumnProfile ProfileOf(const std::string& name, const std::vector<std::string>& cells);

// Nothing for what is no number, nan and inf among it.
std::optional<double> FiniteNumber(const std::string& cell);

// The items of a list cell as the import takes them; an empty one where it refuses the cell.
std::vector<std::string> ItemsOf(const std::string& cell, char separator);

}  // namespace trestle
