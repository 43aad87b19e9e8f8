// Cells as texts.
#include <arrow/array.h>
#include <arrow/chunked_array.h>
#include <arrow/util/checked_cast.h>
#include <glog/logging.h>

#include <string>
#include <unordered_map>

#include "worker/block_decode.h"

namespace trestle {
namespace {

using arrow::internal::checked_cast;

class TextAppender {
 public:
  explicit TextAppender(BlockTexts* out) : out_(out) {}

  void Append(const arrow::Array& array) {
    if (array.type_id() == arrow::Type::DICTIONARY) {
      return AppendDictionary(checked_cast<const arrow::DictionaryArray&>(array));
    }
    for (int64_t i = 0; i < array.length(); ++i) out_->of_row.push_back(Code(TextOf(array, i)));
  }

 private:
  static std::string TextOf(const arrow::Array& array, int64_t i) {
    if (array.IsNull(i)) return kMissingText;
    switch (array.type_id()) {
      case arrow::Type::BOOL:
        return checked_cast<const arrow::BooleanArray&>(array).Value(i) ? "true" : "false";
      case arrow::Type::INT8:
        return std::to_string(checked_cast<const arrow::Int8Array&>(array).Value(i));
      case arrow::Type::INT16:
        return std::to_string(checked_cast<const arrow::Int16Array&>(array).Value(i));
      case arrow::Type::INT32:
        return std::to_string(checked_cast<const arrow::Int32Array&>(array).Value(i));
      case arrow::Type::INT64:
        return std::to_string(checked_cast<const arrow::Int64Array&>(array).Value(i));
      case arrow::Type::UINT8:
        return std::to_string(checked_cast<const arrow::UInt8Array&>(array).Value(i));
      case arrow::Type::UINT16:
        return std::to_string(checked_cast<const arrow::UInt16Array&>(array).Value(i));
      case arrow::Type::UINT32:
        return std::to_string(checked_cast<const arrow::UInt32Array&>(array).Value(i));
      case arrow::Type::UINT64:
        return std::to_string(checked_cast<const arrow::UInt64Array&>(array).Value(i));
      case arrow::Type::STRING:
        return checked_cast<const arrow::StringArray&>(array).GetString(i);
      case arrow::Type::LARGE_STRING:
        return checked_cast<const arrow::LargeStringArray&>(array).GetString(i);
      default:
        LOG(FATAL) << "texts of " << array.type()->ToString();
    }
  }

  int32_t Code(const std::string& text) {
    const auto [entry, fresh] = codes_.try_emplace(text, static_cast<int32_t>(codes_.size()));
    if (fresh) out_->values.push_back(text);
    return entry->second;
  }

  void AppendDictionary(const arrow::DictionaryArray& array) {
    std::vector<int32_t> codes;
    for (int64_t i = 0; i < array.dictionary()->length(); ++i) {
      codes.push_back(Code(TextOf(*array.dictionary(), i)));
    }
    for (int64_t i = 0; i < array.length(); ++i) {
      out_->of_row.push_back(array.IsNull(i) ? Code(kMissingText)
                                             : codes[static_cast<size_t>(array.GetValueIndex(i))]);
    }
  }

  BlockTexts* const out_;
  std::unordered_map<std::string, int32_t> codes_;
};

}  // namespace

BlockTexts DecodeTexts(const arrow::ChunkedArray& column) {
  BlockTexts texts;
  texts.of_row.reserve(static_cast<size_t>(column.length()));
  TextAppender appender(&texts);
  for (const auto& chunk : column.chunks()) appender.Append(*chunk);
  return texts;
}

}  // namespace trestle
