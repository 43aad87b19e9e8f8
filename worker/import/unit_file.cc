#include "worker/import/unit_file.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <span>
#include <string_view>
#include <unordered_map>

#include "base/hash.h"
#include "worker/block_arrow.h"
#include "worker/block_file.h"

namespace trestle {
namespace {

using ArrayPointer = std::shared_ptr<arrow::Array>;

// A dictionary is read and hashed with every block, so it must be small beside one.
constexpr size_t kMostDictionary = 512;

template <class T>
std::shared_ptr<arrow::Buffer> BufferOf(std::vector<T> values) {
  return arrow::Buffer::FromVector(std::move(values));
}

// Null where all rows are valid.
std::shared_ptr<arrow::Buffer> ValidityOf(const UnitColumn& column) {
  if (column.missing == 0) return nullptr;
  std::vector<uint8_t> bits((column.valid.size() + 7) / 8);
  for (size_t i = 0; i < column.valid.size(); ++i) {
    bits[i / 8] |= static_cast<uint8_t>((column.valid[i] ? 1 : 0) << (i % 8));
  }
  return BufferOf(std::move(bits));
}

ArrayPointer Primitive(const std::shared_ptr<arrow::DataType>& type, size_t rows,
                       std::shared_ptr<arrow::Buffer> values,
                       const std::shared_ptr<arrow::Buffer>& validity, int64_t nulls) {
  return arrow::MakeArray(arrow::ArrayData::Make(type, static_cast<int64_t>(rows),
                                                 {validity, std::move(values)}, nulls));
}

template <class T>
ArrayPointer Narrowed(const std::shared_ptr<arrow::DataType>& type,
                      const std::vector<int64_t>& values,
                      const std::shared_ptr<arrow::Buffer>& validity, int64_t nulls) {
  std::vector<T> narrow(values.size());
  for (size_t i = 0; i < values.size(); ++i) narrow[i] = static_cast<T>(values[i]);
  return Primitive(type, values.size(), BufferOf(std::move(narrow)), validity, nulls);
}

ArrayPointer Integers(std::vector<int64_t> values, const std::shared_ptr<arrow::Buffer>& validity,
                      int64_t nulls) {
  int64_t low = 0, high = 0;
  for (const int64_t value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const auto fits = [&](auto limits) {
    using Limits = std::numeric_limits<decltype(limits)>;
    return low >= Limits::min() && high <= Limits::max();
  };
  if (fits(int8_t{})) return Narrowed<int8_t>(arrow::int8(), values, validity, nulls);
  if (fits(int16_t{})) return Narrowed<int16_t>(arrow::int16(), values, validity, nulls);
  if (fits(int32_t{})) return Narrowed<int32_t>(arrow::int32(), values, validity, nulls);
  const size_t rows = values.size();
  return Primitive(arrow::int64(), rows, BufferOf(std::move(values)), validity, nulls);
}

bool IsExactInteger(double x) {
  constexpr double kExact = 9'007'199'254'740'992;  // 2^53
  return std::fabs(x) <= kExact && x == std::floor(x) && !(x == 0 && std::signbit(x));
}

ArrayPointer Numbers(UnitColumn* column) {
  const auto validity = ValidityOf(*column);
  if (std::all_of(column->numbers.begin(), column->numbers.end(), IsExactInteger)) {
    std::vector<int64_t> whole(column->numbers.begin(), column->numbers.end());
    return Integers(std::move(whole), validity, column->missing);
  }
  const size_t rows = column->numbers.size();
  return Primitive(arrow::float64(), rows, BufferOf(std::move(column->numbers)), validity,
                   column->missing);
}

std::shared_ptr<arrow::Buffer> OffsetsOf(const std::vector<int32_t>& ends) {
  std::vector<int32_t> offsets(ends.size() + 1);
  std::copy(ends.begin(), ends.end(), offsets.begin() + 1);
  return BufferOf(std::move(offsets));
}

ArrayPointer PlainText(const std::vector<int32_t>& ends, std::string text,
                       const std::shared_ptr<arrow::Buffer>& validity, int64_t nulls) {
  return std::make_shared<arrow::StringArray>(static_cast<int64_t>(ends.size()), OffsetsOf(ends),
                                              arrow::Buffer::FromString(std::move(text)), validity,
                                              nulls);
}

// Null if there are too many kinds of text. Kinds are in the order in which they come.
ArrayPointer Dictionary(const UnitColumn& column, const std::shared_ptr<arrow::Buffer>& validity,
                        int64_t nulls) {
  const size_t most = std::min(kMostDictionary, column.text_ends.size() / 4);
  std::unordered_map<std::string_view, int16_t> index;
  std::vector<int16_t> indices;
  std::vector<int32_t> ends;
  std::string kinds;
  indices.reserve(column.text_ends.size());
  int32_t begin = 0;
  for (const int32_t end : column.text_ends) {
    const auto text = std::string_view(column.text).substr(begin, end - begin);
    const auto [at, fresh] = index.try_emplace(text, static_cast<int16_t>(index.size()));
    if (fresh) {
      if (index.size() > most) return nullptr;
      kinds += text;
      ends.push_back(static_cast<int32_t>(kinds.size()));
    }
    indices.push_back(at->second);
    begin = end;
  }
  const size_t rows = indices.size();
  auto array = Primitive(arrow::int16(), rows, BufferOf(std::move(indices)), validity, nulls);
  return std::make_shared<arrow::DictionaryArray>(arrow::dictionary(arrow::int16(), arrow::utf8()),
                                                  std::move(array),
                                                  PlainText(ends, std::move(kinds), nullptr, 0));
}

ArrayPointer Texts(UnitColumn* column, const std::shared_ptr<arrow::Buffer>& validity,
                   int64_t nulls) {
  if (auto dictionary = Dictionary(*column, validity, nulls)) return dictionary;
  return PlainText(column->text_ends, std::move(column->text), validity, nulls);
}

ArrayPointer Lists(UnitColumn* column) {
  const ArrayPointer items = column->is_text() ? Texts(column, nullptr, 0)
                                               : Integers(std::move(column->integers), nullptr, 0);
  return std::make_shared<arrow::ListArray>(arrow::list(items->type()),
                                            static_cast<int64_t>(column->list_ends.size()),
                                            OffsetsOf(column->list_ends), items);
}

ArrayPointer ArrayOf(UnitColumn* column) {
  if (column->is_list()) return Lists(column);
  if (column->kind == NUMBER) return Numbers(column);
  const auto validity = ValidityOf(*column);
  return column->is_text() ? Texts(column, validity, column->missing)
                           : Integers(std::move(column->integers), validity, column->missing);
}

// Appends the hash of each buffer.
void AppendHashes(const arrow::ArrayData& data, std::string* hashes) {
  for (const auto& buffer : data.buffers) {
    if (buffer) hashes->append(Hash128(static_cast<std::string_view>(*buffer)));
    hashes->push_back('.');
  }
  for (const auto& child : data.child_data) AppendHashes(*child, hashes);
  if (data.dictionary) AppendHashes(*data.dictionary, hashes);
}

const std::string& NameOf(const ImportColumn& column) {
  return column.stored_as().empty() ? column.name() : column.stored_as();
}

// The footer says where blocks are but not what they hold, so a hash of that goes into its schema:
// a dataset's fingerprint, for which footers alone are read, then changes with every value; but not
// with columns of slices, which a resumed run may have others of.
std::shared_ptr<arrow::KeyValueMetadata> ContentHash(const ImportColumns& columns,
                                                     const std::vector<ArrayPointer>& arrays) {
  std::string hashes;
  for (size_t c = 0; c < arrays.size(); ++c) {
    const ImportColumn& column = columns[static_cast<int>(c)];
    if (column.slice()) continue;
    hashes += NameOf(column) + '\0' + arrays[c]->type()->ToString() + '\0';
    AppendHashes(*arrays[c]->data(), &hashes);
  }
  return arrow::key_value_metadata({kContentHash}, {Hash128(hashes)});
}

arrow::Result<std::shared_ptr<arrow::Buffer>> ToIpc(
    const std::shared_ptr<arrow::RecordBatch>& rows) {
  arrow::ipc::IpcWriteOptions options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;
  ARROW_ASSIGN_OR_RAISE(auto out, arrow::io::BufferOutputStream::Create(1 << 20));
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeFileWriter(out, rows->schema(), options));
  for (int64_t at = 0; at < rows->num_rows(); at += kImportBlockRows) {
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*rows->Slice(at, kImportBlockRows)));
  }
  ARROW_RETURN_NOT_OK(writer->Close());
  return out->Finish();
}

}  // namespace

Result<CacheFile> WriteUnitFile(FileSystem& fs, const std::string& path, const ImportColumns& names,
                                std::vector<UnitColumn>* columns) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<ArrayPointer> arrays;
  for (size_t c = 0; c < columns->size(); ++c) {
    arrays.push_back(ArrayOf(&(*columns)[c]));
    (*columns)[c] = UnitColumn();
    fields.push_back(arrow::field(NameOf(names[static_cast<int>(c)]), arrays.back()->type()));
  }
  const int64_t rows = arrays.front()->length();
  const auto schema = arrow::schema(fields, ContentHash(names, arrays));
  auto buffer = ToIpc(arrow::RecordBatch::Make(schema, rows, arrays));
  if (!buffer.ok()) return FromArrow(buffer.status(), path);
  const std::string_view bytes(reinterpret_cast<const char*>((*buffer)->data()),
                               static_cast<size_t>((*buffer)->size()));
  TRESTLE_ASSIGN_OR_RETURN(auto file, fs.Create(path));
  TRESTLE_RETURN_IF_ERROR(file->Append(std::as_bytes(std::span(bytes))));
  TRESTLE_RETURN_IF_ERROR(file->Close());
  CacheFile entry;
  entry.set_name(std::filesystem::path(path).filename().string());
  entry.set_rows(rows);
  entry.set_bytes(static_cast<int64_t>(bytes.size()));
  entry.set_xxh3_128(Hash128(bytes));
  return entry;
}

}  // namespace trestle
