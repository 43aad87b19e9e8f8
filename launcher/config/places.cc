#include "launcher/config/places.h"

namespace trestle {

std::string_view ParentPath(std::string_view path) {
  const size_t end = path.find_last_of(".[");
  return end == std::string_view::npos ? std::string_view() : path.substr(0, end);
}

std::string EntryPath(const std::string& path, int index) {
  std::string entry = path;
  return entry.append("[").append(std::to_string(index)).append("]");
}

std::string MemberPath(const std::string& path, const std::string& name) {
  std::string member = path;
  return member.append(path.empty() ? "" : ".").append(name);
}

void FieldPlaces::Erase(const std::string& path) {
  for (auto it = places_.lower_bound(path); it != places_.end();) {
    if (it->first.compare(0, path.size(), path) != 0) break;
    const bool inside = it->first.size() == path.size() || it->first[path.size()] == '.' ||
                        it->first[path.size()] == '[';
    it = inside ? places_.erase(it) : std::next(it);
  }
}

FieldPlace FieldPlaces::Exact(std::string_view path) const {
  if (auto it = places_.find(path); it != places_.end()) return it->second;
  const size_t close = path.find(']');
  if (close == std::string_view::npos) return {};
  const auto alias = aliases_.find(path.substr(0, close + 1));
  if (alias == aliases_.end()) return {};
  const auto it = places_.find(alias->second + std::string(path.substr(close + 1)));
  return it == places_.end() ? FieldPlace{} : it->second;
}

FieldPlace FieldPlaces::Nearest(std::string_view path) const {
  for (; !path.empty(); path = ParentPath(path)) {
    if (FieldPlace place = Exact(path); place.known()) return place;
  }
  return {};
}

}  // namespace trestle
