// Keys of id, group and sequence columns.
#include <arrow/array.h>
#include <arrow/chunked_array.h>
#include <arrow/util/checked_cast.h>
#include <glog/logging.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "base/hash.h"
#include "worker/block_decode.h"

namespace trestle {

Key MissingKey(uint64_t table_seed) {
  return StringKey(std::string_view("\0missing", 8), table_seed);
}

namespace {

using arrow::internal::checked_cast;

// Appends one key a value; remembers where nulls stood (they append the missing key).
class KeyAppender {
 public:
  KeyAppender(uint64_t seed, std::vector<uint64_t>* out) : seed_(seed), out_(out) {}
  std::vector<size_t> nulls;  // positions in `out`

  void Append(const arrow::Array& array) {
    switch (array.type_id()) {
      case arrow::Type::INT8:
        return AppendIntegers<arrow::Int8Array>(array);
      case arrow::Type::INT16:
        return AppendIntegers<arrow::Int16Array>(array);
      case arrow::Type::INT32:
        return AppendIntegers<arrow::Int32Array>(array);
      case arrow::Type::INT64:
        return AppendIntegers<arrow::Int64Array>(array);
      case arrow::Type::UINT8:
        return AppendIntegers<arrow::UInt8Array>(array);
      case arrow::Type::UINT16:
        return AppendIntegers<arrow::UInt16Array>(array);
      case arrow::Type::UINT32:
        return AppendIntegers<arrow::UInt32Array>(array);
      case arrow::Type::UINT64:
        return AppendIntegers<arrow::UInt64Array>(array);
      case arrow::Type::STRING:
        return AppendStrings<arrow::StringArray>(array);
      case arrow::Type::LARGE_STRING:
        return AppendStrings<arrow::LargeStringArray>(array);
      case arrow::Type::DICTIONARY:
        return AppendDictionary(checked_cast<const arrow::DictionaryArray&>(array));
      default:
        LOG(FATAL) << "keys of " << array.type()->ToString();
    }
  }

 private:
  void AppendNull() {
    nulls.push_back(out_->size());
    out_->push_back(MissingKey(seed_).value);
  }

  template <class ArrayType>
  void AppendIntegers(const arrow::Array& untyped) {
    const auto& array = checked_cast<const ArrayType&>(untyped);
    if (array.null_count() == 0) {
      const auto* values = array.raw_values();
      const size_t at = out_->size();
      out_->resize(at + static_cast<size_t>(array.length()));
      for (int64_t i = 0; i < array.length(); ++i) {
        (*out_)[at + static_cast<size_t>(i)] = static_cast<uint64_t>(values[i]);
      }
      return;
    }
    for (int64_t i = 0; i < array.length(); ++i) {
      if (array.IsNull(i)) {
        AppendNull();
      } else {
        out_->push_back(static_cast<uint64_t>(array.Value(i)));
      }
    }
  }

  template <class ArrayType>
  void AppendStrings(const arrow::Array& untyped) {
    const auto& array = checked_cast<const ArrayType&>(untyped);
    out_->reserve(out_->size() + static_cast<size_t>(array.length()));
    for (int64_t i = 0; i < array.length(); ++i) {
      if (array.IsNull(i)) {
        AppendNull();
      } else {
        out_->push_back(StringKey(array.GetView(i), seed_).value);
      }
    }
  }

  // Each distinct value is hashed once a block. A dictionary's own entry may be null too.
  void AppendDictionary(const arrow::DictionaryArray& array) {
    std::vector<uint64_t> keys;
    KeyAppender entries(seed_, &keys);
    entries.Append(*array.dictionary());
    std::vector<bool> null_entry(keys.size());
    for (const size_t i : entries.nulls) null_entry[i] = true;
    out_->reserve(out_->size() + static_cast<size_t>(array.length()));
    for (int64_t i = 0; i < array.length(); ++i) {
      const size_t entry = array.IsNull(i) ? 0 : static_cast<size_t>(array.GetValueIndex(i));
      if (array.IsNull(i) || null_entry[entry]) {
        AppendNull();
      } else {
        out_->push_back(keys[entry]);
      }
    }
  }

  uint64_t seed_;
  std::vector<uint64_t>* out_;
};

// The values of 64-bit integers without nulls, as they lie in memory; null for anything else.
const uint64_t* RawKeys(const arrow::Array& array) {
  if (array.null_count() != 0) return nullptr;
  if (array.type_id() == arrow::Type::UINT64) {
    return checked_cast<const arrow::UInt64Array&>(array).raw_values();
  }
  if (array.type_id() != arrow::Type::INT64) return nullptr;
  return reinterpret_cast<const uint64_t*>(
      checked_cast<const arrow::Int64Array&>(array).raw_values());
}

// Appends the items of one chunk of lists and the end of each row.
template <class ListArrayType>
void AppendLists(const arrow::Array& untyped, KeyAppender* appender, BlockKeys* out) {
  const auto& lists = checked_cast<const ListArrayType&>(untyped);
  const auto append = [&](int64_t begin, int64_t end) {
    if (end > begin) appender->Append(*lists.values()->Slice(begin, end - begin));
  };
  const auto base = static_cast<int64_t>(out->own_keys.size());
  if (lists.null_count() == 0 && lists.length() > 0) {
    const int64_t first = lists.value_offset(0);
    append(first, lists.value_offset(lists.length()));
    for (int64_t i = 1; i <= lists.length(); ++i) {
      out->own_offsets.push_back(static_cast<int32_t>(base + lists.value_offset(i) - first));
    }
    return;
  }
  // A null list is an empty one, even if items hide behind it.
  for (int64_t i = 0; i < lists.length(); ++i) {
    if (lists.IsValid(i)) append(lists.value_offset(i), lists.value_offset(i + 1));
    out->own_offsets.push_back(static_cast<int32_t>(out->own_keys.size()));
  }
}

// One chunk of list<int64> without nulls needs no copy.
bool TryBorrowLists(const arrow::ChunkedArray& column, BlockKeys* out) {
  if (column.num_chunks() != 1 || column.type()->id() != arrow::Type::LIST) return false;
  const auto& lists = checked_cast<const arrow::ListArray&>(*column.chunk(0));
  if (lists.null_count() != 0) return false;
  const uint64_t* keys = RawKeys(*lists.values());
  if (!keys) return false;
  out->keys = keys;
  out->offsets = lists.raw_value_offsets();
  out->keep.push_back(column.chunk(0));
  return true;
}

// Offsets are 32 bits.
Status CheckItemCount(const arrow::ChunkedArray& column, const std::string& name) {
  int64_t items = 0;
  for (const auto& chunk : column.chunks()) {
    items += chunk->type_id() == arrow::Type::LIST
                 ? checked_cast<const arrow::ListArray&>(*chunk).values()->length()
                 : checked_cast<const arrow::LargeListArray&>(*chunk).values()->length();
  }
  if (items <= std::numeric_limits<int32_t>::max()) return {};
  return {StatusCode::kInvalidData, name + " has " + std::to_string(items) +
                                        " items in one block, at most 2147483647 are possible; "
                                        "write smaller row groups"};
}

void MarkNullItems(const BlockKeys& lists, const std::vector<size_t>& nulls,
                   const std::string& name, BadRows* bad) {
  const auto& ends = lists.own_offsets;
  for (const size_t position : nulls) {
    const auto end = std::upper_bound(ends.begin(), ends.end(), static_cast<int32_t>(position));
    bad->Add(end - ends.begin() - 1, name, name + " holds a null item");
  }
}

}  // namespace

BlockKeys DecodeIds(const arrow::ChunkedArray& column, uint64_t seed) {
  BlockKeys ids;
  if (column.num_chunks() == 1) {
    ids.keys = RawKeys(*column.chunk(0));
    if (ids.keys) ids.keep.push_back(column.chunk(0));
  }
  if (ids.keys) return ids;
  ids.own_keys.reserve(static_cast<size_t>(column.length()));
  KeyAppender appender(seed, &ids.own_keys);
  for (const auto& chunk : column.chunks()) appender.Append(*chunk);
  ids.keys = ids.own_keys.data();
  return ids;
}

Result<BlockKeys> DecodeSequence(const arrow::ChunkedArray& column, uint64_t seed,
                                 const std::string& name, BadRows* bad) {
  TRESTLE_RETURN_IF_ERROR(CheckItemCount(column, name));
  BlockKeys lists;
  if (TryBorrowLists(column, &lists)) return lists;
  lists.own_offsets.assign(1, 0);
  lists.own_offsets.reserve(static_cast<size_t>(column.length()) + 1);
  KeyAppender appender(seed, &lists.own_keys);
  for (const auto& chunk : column.chunks()) {
    if (chunk->type_id() == arrow::Type::LIST) {
      AppendLists<arrow::ListArray>(*chunk, &appender, &lists);
    } else {
      AppendLists<arrow::LargeListArray>(*chunk, &appender, &lists);
    }
  }
  MarkNullItems(lists, appender.nulls, name, bad);
  lists.keys = lists.own_keys.data();
  lists.offsets = lists.own_offsets.data();
  return lists;
}

}  // namespace trestle
