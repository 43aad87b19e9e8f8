// Lines that differ between two configs, each with the settings around it, since "dim: 8" alone
// says little: "tables.dim: 8".
//
// Thread safety: pure function.
// Source: longest common subsequence of lines, by dynamic programming.
#pragma once

#include <string>
#include <vector>

namespace trestle {

// "- " and a line that only `a` has, "+ " and one that only `b` has, in the order of the texts.
// Both are canonical protobuf text. What is left after equal beginnings and ends is all told where
// it is longer than 4,000 lines on both sides.
std::vector<std::string> DiffConfigs(const std::string& a, const std::string& b);

}  // namespace trestle
