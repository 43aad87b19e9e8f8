// FieldPlaces: where in the file, or by which --set, each field of a config got its value. A field
// is known by its path with indices: "batch.rows", "tables[1].dim", "data.train[0]".
//
// Thread safety: a plain value.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace trestle {

struct FieldPlace {
  int line = 0;       // 1-based; 0: nowhere
  int column = 0;     // 1-based
  int override = -1;  // index of the --set, instead of line and column
  bool known() const { return line > 0 || override >= 0; }
};

// The path of what surrounds a path: "a.b[2].c" -> "a.b[2]" -> "a.b" -> "a" -> "".
[[nodiscard]] std::string_view ParentPath(std::string_view path);

// "a" and 2 -> "a[2]"; "a" and "b" -> "a.b"; "" and "b" -> "b".
[[nodiscard]] std::string EntryPath(const std::string& path, int index);
[[nodiscard]] std::string MemberPath(const std::string& path, const std::string& name);

class FieldPlaces {
 public:
  void Set(const std::string& path, FieldPlace place) { places_[path] = place; }
  // Forgets a field and everything inside it.
  void Erase(const std::string& path);
  // "tables[brand]" for "tables[1]": how users address it.
  void SetAlias(const std::string& alias, const std::string& path) { aliases_[alias] = path; }

  // The place of exactly this path; !known() when it was not set.
  [[nodiscard]] FieldPlace Exact(std::string_view path) const;
  // The place of the path or of the innermost thing around it; !known() when there is none.
  [[nodiscard]] FieldPlace Nearest(std::string_view path) const;

 private:
  std::map<std::string, FieldPlace, std::less<>> places_;
  std::map<std::string, std::string, std::less<>> aliases_;
};

}  // namespace trestle
