// The fields of one record of a CSV or TSV file.
//
// A field that begins with a quote ends with one, and a quote inside is doubled; in other fields a
// quote is a character like any other, and no line feed may be: a stray quote lets a record go on
// over the lines of others. Source: RFC 4180, but for that.
//
// Thread safety: one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trestle {

class FieldSplitter {
 public:
  // `quote` 0: none.
  FieldSplitter(char delimiter, char quote) : delimiter_(delimiter), quote_(quote) {}

  // Fields of the record, which stay as long as it and this object do and no other is split. Null,
  // or what is wrong with the record.
  const char* Split(std::string_view record, std::vector<std::string_view>* fields);

 private:
  const char* SplitQuoted(std::string_view record, std::vector<std::string_view>* fields);

  const char delimiter_;
  const char quote_;
  std::string unquoted_;  // fields that held doubled quotes
};

}  // namespace trestle
