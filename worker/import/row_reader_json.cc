// Rows of JSON lines. A member that is not there, or null, is a missing cell.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "worker/import/cells.h"
#include "worker/import/row_reader.h"

namespace trestle {
namespace {

using Json = nlohmann::json;

// 64-bit integers are exact; a larger one, or 1.0, is a number that no id may be.
bool IsExactInteger(const Json& value) {
  return value.is_number_integer() &&
         !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
}

std::string Shown(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace).substr(0, 60);
}

class JsonReader final : public RowReader {
 public:
  JsonReader(const TextFiles& text, const ImportColumns& columns)
      : RowReader(columns), missing_(text.missing().begin(), text.missing().end()) {}

 protected:
  bool AppendCells(std::string_view record, std::vector<UnitColumn>* columns,
                   RowProblem* problem) override {
    const Json object = Json::parse(record, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) {
      problem->reason = IsUtf8(record) ? "is not a JSON object" : "holds text that is not UTF-8";
      return false;
    }
    for (int c = 0; c < columns_.size(); ++c) {
      const auto member = object.find(columns_[c].name());
      UnitColumn* const out = &(*columns)[static_cast<size_t>(c)];
      const bool added = member == object.end() || IsMissing(*member)
                             ? AppendMissing(columns_[c], out, &problem->reason)
                             : AppendValue(columns_[c], *member, out, &problem->reason);
      if (!added && Refuses(columns_[c], out, problem)) return false;
    }
    return true;
  }

 private:
  bool IsMissing(const Json& value) const {
    if (value.is_null()) return true;
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() || std::find(missing_.begin(), missing_.end(), text) != missing_.end();
  }

  static bool Refuse(const ImportColumn& column, const Json& value, const char* why,
                     std::string* reason) {
    *reason = column.name() + " " + Shown(value) + " " + why;
    return false;
  }

  static bool AppendValue(const ImportColumn& column, const Json& value, UnitColumn* out,
                          std::string* reason) {
    const bool any =
        column.slice() || (!column.stored_as().empty() && column.kind() == STRING_ID);
    if (any && !value.is_string()) {  // as JSON: 1, 2.5, [1,2]
      return AppendCell(column, value.dump(-1, ' ', false, Json::error_handler_t::replace), out,
                        reason);
    }
    if (value.is_array()) return AppendArray(column, value, out, reason);
    if (value.is_object()) return Refuse(column, value, "is an object", reason);
    if (value.is_string()) {
      // Elsewhere it would be the key of a text.
      const bool integer = column.kind() == INTEGER_ID && column.time() == WHOLE;
      if (integer) return Refuse(column, value, "is text, not an integer", reason);
      return AppendCell(column, value.get_ref<const std::string&>(), out, reason);
    }
    if (column.kind() == NUMBER) {
      const double number = value.is_boolean() ? (value.get<bool>() ? 1 : 0) : value.get<double>();
      return AppendNumber(column, number, out, reason);
    }
    if (column.time() != WHOLE || column.kind() == STRING_ID || column.kind() == INTEGER_ID) {
      if (!IsExactInteger(value)) return Refuse(column, value, "is not an integer", reason);
      return AppendCell(column, value.dump(), out, reason);
    }
    return Refuse(column, value, "is not a list", reason);
  }

  static bool AppendArray(const ImportColumn& column, const Json& list, UnitColumn* out,
                          std::string* reason) {
    if (!out->is_list()) return Refuse(column, list, "is a list", reason);
    for (const Json& item : list) {
      if (out->kind == INTEGER_IDS && IsExactInteger(item)) {
        out->AddIntegerItem(item.get<int64_t>());
      } else if (out->kind == STRING_IDS && item.is_string()) {
        out->AddTextItem(item.get_ref<const std::string&>());
      } else {
        return Refuse(column, item, "in a list is not of its kind", reason);
      }
    }
    out->EndList();
    return true;
  }

  const std::vector<std::string> missing_;
};

}  // namespace

std::unique_ptr<RowReader> MakeJsonReader(const TextFiles& text, const ImportColumns& columns) {
  return std::make_unique<JsonReader>(text, columns);
}

}  // namespace trestle
