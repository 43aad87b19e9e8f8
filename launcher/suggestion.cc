#include "launcher/suggestion.h"

#include <algorithm>
#include <cctype>

#include "base/nearest_name.h"

namespace trestle {
namespace {

bool EqualButForCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

std::string LikelyName(std::string_view name, const std::vector<std::string>& known) {
  for (const std::string& candidate : known) {
    if (EqualButForCase(name, candidate)) return candidate;
  }
  return NearestName(name, known);
}

std::string Suggestion(std::string_view name, const std::vector<std::string>& known) {
  const std::string likely = LikelyName(name, known);
  if (likely.empty()) return "; ";
  return "; did you mean \"" + likely + "\"? ";
}

std::string JoinNames(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

}  // namespace trestle
