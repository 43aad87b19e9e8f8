#include "worker/input_files.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/filesystem.h"

namespace trestle {
namespace {

constexpr size_t kMostProblems = 50;  // that one error lists

// A file as it was first named.
struct FirstName {
  std::string path;
  std::string pattern;
};

std::string NamedTwice(const FirstName& first, const FirstName& second) {
  const std::string text = second.path == first.path
                               ? second.path + ": named twice"
                               : second.path + ": is the same file as " + first.path;
  return text + ", by \"" + first.pattern + "\" and \"" + second.pattern +
         "\"; its rows would be read twice";
}

}  // namespace

void InputProblems::Add(StatusCode code, std::string text) {
  if (texts_.empty()) {
    code_ = code;
  } else if (code != code_) {
    code_ = StatusCode::kInvalidData;
  }
  texts_.push_back(std::move(text));
}

Status InputProblems::ToStatus() const {
  if (texts_.empty()) return {};
  std::string text;
  for (size_t i = 0; i < std::min(texts_.size(), kMostProblems); ++i) {
    text += (i ? "\n" : "") + texts_[i];
  }
  if (texts_.size() > kMostProblems) {
    text += "\n... and " + std::to_string(texts_.size() - kMostProblems) + " more problems";
  }
  return {code_, text};
}

std::vector<std::string> FindInputFiles(const std::vector<std::string>& patterns,
                                        InputProblems* problems) {
  std::vector<std::string> paths;
  std::map<std::filesystem::path, FirstName> seen;  // by canonical path
  for (const std::string& pattern : patterns) {
    const auto found = FileSystem::Local().Glob(pattern);
    if (!found.ok()) {
      problems->Add(found.status().code(), found.status().ToString());
      continue;
    }
    if (found->empty()) {
      problems->Add(StatusCode::kNotFound, pattern + ": no such file, and no file matches it");
    }
    for (const std::string& path : *found) {
      std::error_code error;
      auto canonical = std::filesystem::canonical(path, error);
      if (error) canonical = path;  // opening it says what is wrong
      const auto [it, fresh] = seen.try_emplace(canonical, FirstName{path, pattern});
      if (fresh) {
        paths.push_back(path);
      } else {
        problems->Add(StatusCode::kInvalidData, NamedTwice(it->second, {path, pattern}));
      }
    }
  }
  return paths;
}

}  // namespace trestle
