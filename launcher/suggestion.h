// How errors about an unknown name (field, value, flag, command) name the one that was probably
// meant.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trestle {

// The name that differs in case alone, else the nearest one (base/nearest_name.h); empty when none
// is near.
[[nodiscard]] std::string LikelyName(std::string_view name, const std::vector<std::string>& known);

// `; did you mean "epochs"? `, or `; ` when no name is near.
[[nodiscard]] std::string Suggestion(std::string_view name, const std::vector<std::string>& known);

// "a, b, c".
[[nodiscard]] std::string JoinNames(const std::vector<std::string>& names);

}  // namespace trestle
