// Which files the patterns of a config name, and what is wrong with them, all of it at once.
//
// Thread safety: one thread.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace trestle {

// Collects what is wrong; its code is kNotFound if files are missing and nothing else is wrong.
class InputProblems {
 public:
  void Add(StatusCode code, std::string text);
  void Add(const Status& status) { Add(status.code(), status.ToString()); }
  bool empty() const { return texts_.empty(); }
  Status ToStatus() const;  // the first 50, one a line

 private:
  StatusCode code_ = StatusCode::kInvalidData;
  std::vector<std::string> texts_;
};

// Files of all patterns, each once, whatever the spellings of its path and the links to it.
std::vector<std::string> FindInputFiles(const std::vector<std::string>& patterns,
                                        InputProblems* problems);

}  // namespace trestle
