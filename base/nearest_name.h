// The nearest of a list of known names, for errors about an unknown one: "did you mean cate_id?".
// Thread safety: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace trestle {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
int EditDistance(std::string_view a, std::string_view b);

// The known name of least edit distance (the first of equals) if it is at most a third of the
// longer name's length, rounded up; else empty.
std::string NearestName(std::string_view name, std::span<const std::string> known);

}  // namespace trestle
