#include "worker/input_columns.h"

#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/chunked_array.h>
#include <arrow/compute/cast.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/checked_cast.h>

#include "base/nearest_name.h"
#include "worker/block_arrow.h"
#include "worker/block_file.h"
#include "worker/input_files.h"

namespace trestle {
namespace {

using Type = std::shared_ptr<arrow::DataType>;

Type PlainType(const Type& type, bool imported) {
  if (type->id() == arrow::Type::DICTIONARY) {
    return arrow::internal::checked_cast<const arrow::DictionaryType&>(*type).value_type();
  }
  return imported && arrow::is_signed_integer(type->id()) ? arrow::int64() : type;
}

// Null if there is none.
Type CommonType(const Type& a, const Type& b) {
  if (a->Equals(*b)) return a;
  const auto has = [&](arrow::Type::type id) { return a->id() == id || b->id() == id; };
  const bool integers = arrow::is_integer(a->id()) && arrow::is_integer(b->id());
  if (integers) return has(arrow::Type::UINT64) ? nullptr : arrow::int64();
  const auto number = [](const Type& type) {
    return arrow::is_integer(type->id()) || arrow::is_floating(type->id());
  };
  if (number(a) && number(b)) return arrow::float64();
  const auto text = [](const Type& type) { return arrow::is_base_binary_like(type->id()); };
  return text(a) && text(b) && has(arrow::Type::STRING) ? arrow::utf8() : nullptr;
}

arrow::Result<std::shared_ptr<arrow::Array>> AsType(
    const std::shared_ptr<arrow::ChunkedArray>& column, const Type& type) {
  if (column->num_chunks() == 0) return arrow::MakeEmptyArray(type);
  arrow::ArrayVector chunks;
  for (const auto& chunk : column->chunks()) {
    ARROW_ASSIGN_OR_RAISE(auto cast, arrow::compute::Cast(*chunk, type));
    chunks.push_back(std::move(cast));
  }
  return chunks.size() == 1 ? chunks.front() : arrow::Concatenate(chunks);
}

// Unifies the type of one column with that of a further file.
void Unify(const BlockFile& file, const std::string& name, const std::string& flag, bool imported,
           Type* type, InputProblems* problems) {
  const std::string where = flag + " " + name + ": " + file.path();
  const std::vector<std::string> known = file.schema()->field_names();
  const std::vector<int> fields = file.schema()->GetAllFieldIndices(name);
  if (fields.size() != 1) {
    problems->Add(StatusCode::kInvalidData,
                  where + (fields.empty() ? " has no such column" + Suggestion(name, known) +
                                                "the file has " + JoinNames(known)
                                          : " has two such columns"));
    return;
  }
  const Type found = PlainType(file.schema()->field(fields.front())->type(), imported);
  const Type common = *type ? CommonType(*type, found) : found;
  if (common) {
    *type = common;
    return;
  }
  problems->Add(StatusCode::kInvalidData, where + ": is " + found->ToString() + ", and " +
                                              (*type)->ToString() + " in the files before it");
}

}  // namespace

Result<InputColumns> InputColumns::Open(const std::vector<std::string>& files,
                                        const std::vector<std::string>& names,
                                        const std::string& flag, bool imported) {
  InputColumns columns;
  columns.names_ = names;
  columns.types_.resize(names.size());
  InputProblems problems;
  for (const std::string& path : files) {
    TRESTLE_ASSIGN_OR_RETURN(auto file, OpenBlockFile(path));
    for (size_t i = 0; i < names.size(); ++i) {
      Unify(*file, names[i], flag, imported, &columns.types_[i], &problems);
    }
    for (size_t b = 0; b < file->block_rows().size(); ++b) {
      columns.blocks_.push_back({columns.files_.size(), static_cast<int64_t>(b)});
    }
    columns.files_.push_back(std::move(file));
  }
  TRESTLE_RETURN_IF_ERROR(problems.ToStatus());
  return columns;
}

Result<std::vector<std::shared_ptr<arrow::Array>>> InputColumns::Read(int64_t block) const {
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  if (names_.empty()) return arrays;
  const Place place = blocks_[static_cast<size_t>(block)];
  const BlockFile& file = *files_[place.file];
  TRESTLE_ASSIGN_OR_RETURN(const auto columns, file.Read(place.index, names_));
  for (size_t i = 0; i < names_.size(); ++i) {
    auto array = AsType(columns[i], types_[i]);
    if (!array.ok()) return FromArrow(array.status(), file.path() + ", column " + names_[i]);
    arrays.push_back(*std::move(array));
  }
  return arrays;
}

}  // namespace trestle
