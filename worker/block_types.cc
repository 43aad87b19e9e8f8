#include "worker/block_types.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/checked_cast.h>

namespace trestle {
namespace {

using arrow::internal::checked_cast;

KeyKind ScalarKeyKind(const arrow::DataType& type) {
  if (arrow::is_integer(type.id())) return KeyKind::kInteger;
  if (type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING) {
    return KeyKind::kString;
  }
  if (type.id() == arrow::Type::DICTIONARY) {
    return ScalarKeyKind(*checked_cast<const arrow::DictionaryType&>(type).value_type());
  }
  return KeyKind::kNone;
}

bool IsNumber(const arrow::DataType& type) {
  return arrow::is_integer(type.id()) || arrow::is_floating(type.id()) ||
         type.id() == arrow::Type::BOOL;
}

bool IsAllowed(ColumnRole role, const arrow::DataType& type) {
  switch (role) {
    case ColumnRole::kLabel:
    case ColumnRole::kWeight:
    case ColumnRole::kNumeric:
      return IsNumber(type);
    case ColumnRole::kGroup:
    case ColumnRole::kId:
    case ColumnRole::kSequence:
      return KeyKindOf(role, type) != KeyKind::kNone;
    case ColumnRole::kSlice:
      return type.id() == arrow::Type::BOOL || KeyKindOf(role, type) != KeyKind::kNone;
  }
  return false;
}

const char* Allowed(ColumnRole role) {
  switch (role) {
    case ColumnRole::kLabel:
      return "a label must be an integer, bool or float column of 0 and 1";
    case ColumnRole::kGroup:
      return "a group must be an integer or string column";
    case ColumnRole::kWeight:
      return "a weight must be an integer or float column";
    case ColumnRole::kId:
      return "an id must be an integer or string column (cast it; pandas makes double of integers "
             "with nulls)";
    case ColumnRole::kSequence:
      return "a sequence or bag must be a list of integers or strings";
    case ColumnRole::kNumeric:
      return "a numeric feature must be an integer or float column";
    case ColumnRole::kSlice:
      return "a column of eval.slices must hold integers, booleans or strings";
  }
  return "";
}

}  // namespace

KeyKind KeyKindOf(ColumnRole role, const arrow::DataType& type) {
  if (role != ColumnRole::kSequence) return ScalarKeyKind(type);
  if (type.id() != arrow::Type::LIST && type.id() != arrow::Type::LARGE_LIST) {
    return KeyKind::kNone;
  }
  return ScalarKeyKind(*checked_cast<const arrow::BaseListType&>(type).value_type());
}

namespace {

// Parquet strings are asked for as dictionaries; the user knows them as strings.
std::string TypeName(const arrow::DataType& type) {
  if (type.id() != arrow::Type::DICTIONARY) return type.ToString();
  return checked_cast<const arrow::DictionaryType&>(type).value_type()->ToString();
}

}  // namespace

std::string TypeProblem(ColumnRole role, const arrow::DataType& type) {
  if (IsAllowed(role, type)) return "";
  return "is " + TypeName(type) + "; " + Allowed(role);
}

}  // namespace trestle
