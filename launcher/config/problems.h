// Problems: the mistakes of a config, collected while it is read so that all are told at once.
//
// Thread safety: one thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "launcher/config/places.h"

namespace trestle {

// The text of a place: "file:3:7", "--set a.b=1", or the file's name alone.
[[nodiscard]] std::string PlaceText(const std::string& file,
                                    const std::vector<std::string>& overrides, FieldPlace place);

class Problems {
 public:
  void Add(FieldPlace place, std::string text) { list_.push_back({place, std::move(text)}); }
  // Also remembers that `scope`, a message's path, holds something that could not be understood:
  // what seems to be missing there may only be misspelt.
  void AddUnclear(FieldPlace place, std::string scope, std::string text);
  [[nodiscard]] bool Unclear(const std::string& scope) const { return unclear_.contains(scope); }
  [[nodiscard]] bool empty() const { return list_.empty(); }

  // One line a problem, in the order of the file, then of the overrides. OK when there are none.
  [[nodiscard]] Status ToStatus(const std::string& file,
                                const std::vector<std::string>& overrides) const;

 private:
  struct Problem {
    FieldPlace place;
    std::string text;
  };
  std::vector<Problem> list_;
  std::set<std::string> unclear_;
};

}  // namespace trestle
