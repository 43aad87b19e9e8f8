// ListCursor: the items of a list in one cell, one after the other: between separators, or [1, 2]
// and ["a, b", 'c'] with commas. What cannot be cut for sure is no list: an item with a backslash,
// or with a quote that is not around all of it.
//
// Thread safety: one thread.
#pragma once

#include <string_view>

namespace trestle {

// Without the blanks around it.
std::string_view Trimmed(std::string_view text);

class ListCursor {
 public:
  ListCursor(std::string_view cell, char separator);

  // False at the end, and where the rest is no list. Items in brackets are without blanks and
  // quotes around them, others as they are; a separator at the end has an empty item behind it.
  bool Next(std::string_view* item);
  // Null, or why the cell is no list.
  const char* problem() const { return problem_; }

 private:
  bool NextInBrackets(std::string_view* item);
  bool Fail(const char* problem);

  std::string_view rest_;
  const bool brackets_;
  const char separator_;
  bool more_;  // items in `rest_`
  const char* problem_ = nullptr;
};

}  // namespace trestle
