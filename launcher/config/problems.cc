#include "launcher/config/problems.h"

#include <algorithm>
#include <tuple>

namespace trestle {

std::string PlaceText(const std::string& file, const std::vector<std::string>& overrides,
                      FieldPlace place) {
  if (place.override >= 0) return "--set " + overrides[place.override];
  if (place.line <= 0) return file;
  return file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

void Problems::AddUnclear(FieldPlace place, std::string scope, std::string text) {
  unclear_.insert(std::move(scope));
  Add(place, std::move(text));
}

Status Problems::ToStatus(const std::string& file,
                          const std::vector<std::string>& overrides) const {
  if (list_.empty()) return Ok();
  std::vector<Problem> sorted = list_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.place.override, a.place.line, a.place.column) <
           std::tie(b.place.override, b.place.line, b.place.column);
  });
  std::string text;
  for (const Problem& problem : sorted) {
    if (!text.empty()) text += '\n';
    text += PlaceText(file, overrides, problem.place) + ": " + problem.text;
  }
  return {StatusCode::kInvalidConfig, text};
}

}  // namespace trestle
