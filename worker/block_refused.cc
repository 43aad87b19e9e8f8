// The column in which the import keeps why it refused a row (import/unit.h).
#include <arrow/array.h>
#include <arrow/chunked_array.h>
#include <arrow/util/checked_cast.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "worker/block_decode.h"

namespace trestle {
namespace {

using arrow::internal::checked_cast;

std::string_view TextAt(const arrow::Array& array, int64_t row) {
  if (array.type_id() == arrow::Type::DICTIONARY) {
    const auto& kinds = checked_cast<const arrow::DictionaryArray&>(array);
    return TextAt(*kinds.dictionary(), kinds.GetValueIndex(row));
  }
  return checked_cast<const arrow::StringArray&>(array).GetView(row);
}

BadRow Parse(int64_t row, std::string_view text) {
  std::array<std::string_view, 3> fields;  // file, line, column; the rest is the reason
  for (std::string_view& field : fields) {
    field = text.substr(0, text.find('\t'));
    text.remove_prefix(std::min(field.size() + 1, text.size()));
  }
  BadRow bad{static_cast<int32_t>(row), std::string(fields[2]), std::string(text)};
  bad.text_file = fields[0];
  bad.text_line = std::atoll(std::string(fields[1]).c_str());
  return bad;
}

}  // namespace

void DecodeRefused(const arrow::ChunkedArray& column, BadRows* bad) {
  int64_t row = 0;
  for (const auto& chunk : column.chunks()) {
    for (int64_t i = 0; i < chunk->length(); ++i, ++row) {
      if (!chunk->IsNull(i)) bad->Add(Parse(row, TextAt(*chunk, i)));
    }
  }
}

}  // namespace trestle
