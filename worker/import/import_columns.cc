#include "worker/import/import_columns.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/nearest_name.h"
#include "worker/import/cells.h"
#include "worker/import/records.h"
#include "worker/input_files.h"

namespace trestle {
namespace {

constexpr int64_t kHeadBytes = 1 << 20;

CellKind KindOf(IdType type, bool list) {
  switch (type) {
    case INTEGER:
      return list ? INTEGER_IDS : INTEGER_ID;
    case STRING:
      return list ? STRING_IDS : STRING_ID;
    default:
      return list ? ANY_IDS : ANY_ID;
  }
}

ImportColumn ColumnOf(const Slot& slot) {
  ImportColumn column;
  column.set_name(slot.column);
  const bool list = slot.sequence_group >= 0;
  column.set_kind(slot.time == WHOLE ? KindOf(slot.type, list) : INTEGER_ID);
  column.set_time(slot.time);
  if (!list) return column;
  if (!slot.pooling) column.set_in_step(slot.sequence_group + 1);
  column.set_separator(std::string(1, slot.separator));
  return column;
}

// The texts of a column of eval.slices that is nothing else: no cell of it makes a row bad, or
// slices would say which rows are trained on.
Status AddSlice(const std::string& name, ImportSettings* settings) {
  bool named = false;
  for (const ImportColumn& column : settings->columns()) {
    if (column.name() != name) continue;
    const bool list =
        column.kind() == ANY_IDS || column.kind() == INTEGER_IDS || column.kind() == STRING_IDS;
    if (column.kind() == NUMBER || list) {
      return {
          StatusCode::kInvalidConfig,
          "eval.slices: \"" + name + "\" is " + (list ? "a sequence or bag" : "read as numbers") +
              "; files that are imported cannot be sliced by one: give them a column of its own "
              "for that, or take another"};
    }
    named = true;
  }
  if (named) return {};
  ImportColumn* const column = settings->add_columns();
  column->set_name(name);
  column->set_kind(STRING_ID);
  column->set_slice(true);
  return {};
}

// Of numeric features, and of bucketized ones that are not numeric too.
std::vector<ImportColumn> NumbersOf(const Schema& schema) {
  std::vector<ImportColumn> columns;
  const auto add = [&](const std::string& name, bool required) {
    ImportColumn& column = columns.emplace_back();
    column.set_name(name);
    column.set_kind(NUMBER);
    column.set_required(required);
  };
  for (const NumericColumn& numeric : schema.numeric) {
    add(numeric.column, !numeric.missing.has_value());
  }
  for (const BucketColumn& bucket : schema.buckets) {
    const auto same = [&](const ImportColumn& column) { return column.name() == bucket.column; };
    if (std::none_of(columns.begin(), columns.end(), same)) add(bucket.column, false);
  }
  return columns;
}

// What a column would be if its cells were integers, and what else.
ImportColumn AsIntegers(ImportColumn column) {
  column.set_kind(column.kind() == ANY_IDS ? INTEGER_IDS : INTEGER_ID);
  return column;
}

// Whether an open column's cells, over rows read as integers, all are such.
class IntegerTrial {
 public:
  explicit IntegerTrial(const ImportColumn& column) { *columns_.Add() = AsIntegers(column); }

  // Rows are bad for other reasons too (a wrong number of fields): those say nothing.
  void Try(RowReader& reader, std::string_view record) {
    std::vector<UnitColumn> cells = EmptyColumns(columns_);
    RowProblem problem;
    if (!reader.Append(record, &cells, &problem)) {
      integers_ = integers_ && problem.column.empty();
      return;
    }
    found_ = found_ || (!cells[0].integers.empty() && cells[0].missing == 0);
  }
  bool integers() const { return integers_ && found_; }
  const ImportColumns& columns() const { return columns_; }

 private:
  ImportColumns columns_;
  bool integers_ = true;
  bool found_ = false;
};

}  // namespace

Result<ImportSettings> SettingsOf(const Schema& schema, const Data& data) {
  TRESTLE_RETURN_IF_ERROR(CheckText(data.text()));
  ImportSettings settings;
  *settings.mutable_text() = data.text();
  settings.set_order(data.order());
  settings.set_holdout(data.holdout());
  if (!schema.label.empty()) {
    ImportColumn* const label = settings.add_columns();
    label->set_name(schema.label);
    label->set_kind(NUMBER);
    label->set_required(true);
    label->set_label(!schema.positive_from.has_value());
  }
  if (!schema.weight.empty()) {
    ImportColumn* const weight = settings.add_columns();
    weight->set_name(schema.weight);
    weight->set_kind(NUMBER);
    weight->set_required(true);
    weight->set_weight(true);
  }
  bool group_named = schema.group.empty();
  for (const Slot& slot : schema.slots) {
    if (slot.crossed() || slot.bucket >= 0) continue;
    *settings.add_columns() = ColumnOf(slot);
    group_named = group_named || slot.column == schema.group;
  }
  for (const ImportColumn& column : NumbersOf(schema)) {
    *settings.add_columns() = column;
    if (column.name() != schema.group) continue;
    return Status(StatusCode::kInvalidConfig, "data.group: \"" + schema.group +
                                                  "\" is a numeric feature; files that are "
                                                  "imported cannot be grouped by one");
  }
  if (!group_named) {
    ImportColumn* const group = settings.add_columns();
    group->set_name(schema.group);
    group->set_kind(ANY_ID);
  }
  for (const std::string& slice : schema.slices) {
    TRESTLE_RETURN_IF_ERROR(AddSlice(slice, &settings));
  }
  return settings;
}

bool NeedsImport(const ImportSettings& settings) {
  return settings.holdout() > 0 ||
         std::any_of(settings.columns().begin(), settings.columns().end(),
                     [](const ImportColumn& column) { return column.time() != WHOLE; });
}

Result<ImportColumns> DecideKinds(const ImportSettings& settings, const Source& source) {
  ImportColumns columns = settings.columns();
  std::vector<std::string> names;
  const auto open = [](const ImportColumn& column) {
    return column.kind() == ANY_ID || column.kind() == ANY_IDS;
  };
  for (const ImportColumn& column : columns) {
    if (open(column)) names.push_back(column.name());
  }
  if (names.empty()) return columns;
  const char quote = source.record_quote(settings.text());
  TRESTLE_ASSIGN_OR_RETURN(const auto records, OpenRecords(source, settings.text(), names));
  TRESTLE_ASSIGN_OR_RETURN(const RecordChunk chunk, records->Next(kHeadBytes));
  for (ImportColumn& column : columns) {
    if (!open(column)) continue;
    IntegerTrial trial(column);
    const auto rows = MakeRowReader(source, settings.text(), trial.columns());
    RecordCursor cursor(chunk.bytes, 1, quote);
    std::string_view record;
    int64_t line = 0;
    if (source.header) cursor.Next(&record, &line);
    while (cursor.Next(&record, &line)) trial.Try(*rows, record);
    const bool list = column.kind() == ANY_IDS;
    column.set_kind(KindOf(trial.integers() ? INTEGER : STRING, list));
  }
  return columns;
}

Status CheckColumns(const ImportColumns& columns, const std::vector<Source>& sources) {
  InputProblems problems;
  for (const Source& source : sources) {
    std::set<std::string> looked_for;  // a column may be imported twice
    for (const ImportColumn& column : columns) {
      const auto& names = source.columns;
      if (std::find(names.begin(), names.end(), column.name()) != names.end()) continue;
      if (!looked_for.insert(column.name()).second) continue;
      problems.Add(StatusCode::kInvalidData,
                   source.path + ": column \"" + column.name() + "\" is missing" +
                       Suggestion(column.name(), names) + "the file has " + JoinNames(names) +
                       (source.header ? "; if it has no header, name its columns in "
                                        "data.text.columns"
                                      : ""));
    }
  }
  return problems.ToStatus();
}

}  // namespace trestle
