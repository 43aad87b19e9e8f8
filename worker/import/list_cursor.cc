#include "worker/import/list_cursor.h"

#include <algorithm>

namespace trestle {
namespace {

bool InBrackets(std::string_view cell) {
  return cell.size() >= 2 && cell.front() == '[' && cell.back() == ']';
}

}  // namespace

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

ListCursor::ListCursor(std::string_view cell, char separator)
    : rest_(InBrackets(cell) ? Trimmed(cell.substr(1, cell.size() - 2)) : cell),
      brackets_(InBrackets(cell)),
      separator_(separator),
      more_(!rest_.empty()) {}

bool ListCursor::Next(std::string_view* item) {
  if (!more_) return false;
  if (brackets_) return NextInBrackets(item);
  const size_t end = std::min(rest_.find(separator_), rest_.size());
  *item = rest_.substr(0, end);
  more_ = end < rest_.size();
  rest_.remove_prefix(end + (more_ ? 1 : 0));
  return true;
}

bool ListCursor::NextInBrackets(std::string_view* item) {
  rest_ = Trimmed(rest_);
  const bool quoted = rest_.starts_with('"') || rest_.starts_with('\'');
  const char quote = quoted ? rest_.front() : 0;
  if (quoted) rest_.remove_prefix(1);
  const size_t end = rest_.find(quoted ? quote : ',');
  if (quoted && end == std::string_view::npos) return Fail("has a quote that is not closed");
  *item = rest_.substr(0, end);
  rest_.remove_prefix(quoted ? end + 1 : item->size());
  if (!quoted) *item = Trimmed(*item);
  if (item->find('\\') != std::string_view::npos) return Fail("has a backslash in an item");
  if (!quoted && item->find_first_of("\"'") != std::string_view::npos) {
    return Fail("has a quote inside an item");
  }
  rest_ = Trimmed(rest_);
  more_ = !rest_.empty();
  if (more_ && rest_.front() != ',') return Fail("has text behind a closing quote");
  if (more_) rest_.remove_prefix(1);
  return true;
}

bool ListCursor::Fail(const char* problem) {
  problem_ = problem;
  more_ = false;
  return false;
}

}  // namespace trestle
