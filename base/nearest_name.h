// The known name that a misspelt one probably meant, for messages about fields, values and flags.
//
// Thread safety: pure functions.
// Source: Damerau-Levenshtein distance with adjacent transpositions (restricted form).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trestle {

// Insertions, deletions, substitutions and swaps of neighbours that turn a into b, case ignored.
[[nodiscard]] int EditDistance(std::string_view a, std::string_view b);

// The nearest of the names, the first of equals; empty when none is near: more than two edits and
// more than a third of the letters away.
[[nodiscard]] std::string NearestName(std::string_view name, const std::vector<std::string>& known);

// `; did you mean "epochs"? ` with quotes, or `; ` when there is no near name.
[[nodiscard]] std::string Suggestion(std::string_view name, const std::vector<std::string>& known);

// "a, b, c".
[[nodiscard]] std::string JoinNames(const std::vector<std::string>& names);

}  // namespace trestle
