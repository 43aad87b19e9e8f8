#include "worker/import/fields.h"

#include <algorithm>
#include <cstring>

namespace trestle {

const char* FieldSplitter::Split(std::string_view record, std::vector<std::string_view>* fields) {
  fields->clear();
  if (quote_ != 0 && record.find(quote_) != std::string_view::npos) {
    return SplitQuoted(record, fields);
  }
  while (true) {
    const auto* end =
        static_cast<const char*>(std::memchr(record.data(), delimiter_, record.size()));
    if (end == nullptr) break;
    const auto length = static_cast<size_t>(end - record.data());
    fields->push_back(record.substr(0, length));
    record.remove_prefix(length + 1);
  }
  fields->push_back(record);
  return nullptr;
}

const char* FieldSplitter::SplitQuoted(std::string_view record,
                                       std::vector<std::string_view>* fields) {
  unquoted_.clear();
  unquoted_.reserve(record.size());  // so that fields stay where they are
  while (true) {
    if (!record.starts_with(quote_)) {
      const size_t end = std::min(record.find(delimiter_), record.size());
      fields->push_back(record.substr(0, end));
      record.remove_prefix(end);
      if (fields->back().find('\n') != std::string_view::npos) {
        return "has a line feed in a field without quotes";
      }
    } else {
      record.remove_prefix(1);
      const size_t begin = unquoted_.size();
      while (true) {
        const size_t end = record.find(quote_);
        if (end == std::string_view::npos) return "a quote is not closed";
        unquoted_.append(record, 0, end);
        record.remove_prefix(end + 1);
        if (!record.starts_with(quote_)) break;
        unquoted_ += quote_;
        record.remove_prefix(1);
      }
      fields->push_back(std::string_view(unquoted_).substr(begin));
    }
    if (record.empty()) return nullptr;
    if (record.front() != delimiter_) return "text follows a closing quote";
    record.remove_prefix(1);
    if (record.empty()) {
      fields->push_back(record);
      return nullptr;
    }
  }
}

}  // namespace trestle
