// Opening the files of a dataset: everything that can be known before training is checked here, and
// all that is wrong is said at once.
#include <arrow/chunked_array.h>
#include <arrow/type.h>
#include <glog/logging.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "base/hash.h"
#include "worker/block_decode.h"
#include "worker/block_file.h"
#include "worker/block_types.h"
#include "worker/bucket_bounds.h"
#include "worker/input.h"
#include "worker/input_files.h"

namespace trestle {
namespace {

struct ColumnUse {
  std::string name;
  ColumnRole role;
  int table = -1;     // of ids and sequences
  IdType type = ANY;  // likewise
};

// Of ids.
ColumnRole RoleOf(const Slot& slot) {
  return slot.sequence_group < 0 ? ColumnRole::kId : ColumnRole::kSequence;
}

std::vector<ColumnUse> ColumnUses(const Schema& schema) {
  std::vector<ColumnUse> uses;
  if (!schema.label.empty()) uses.push_back({schema.label, ColumnRole::kLabel});
  if (!schema.refused.empty()) uses.push_back({schema.refused, ColumnRole::kGroup});
  if (!schema.group.empty()) uses.push_back({schema.group, ColumnRole::kGroup});
  if (!schema.weight.empty()) uses.push_back({schema.weight, ColumnRole::kWeight});
  for (const Slot& slot : schema.slots) {
    if (slot.crossed()) continue;
    if (slot.bucket >= 0) {
      uses.push_back({slot.column, ColumnRole::kNumeric});
    } else {
      uses.push_back({slot.column, RoleOf(slot), slot.table, slot.type});
    }
  }
  for (const NumericColumn& numeric : schema.numeric) {
    uses.push_back({numeric.column, ColumnRole::kNumeric});
  }
  for (const std::string& slice : schema.slices) uses.push_back({slice, ColumnRole::kSlice});
  return uses;
}

uint64_t Fold(uint64_t hash, uint64_t value) { return Mix64(hash + 0x9E3779B97F4A7C15ull) ^ value; }

uint64_t FileFingerprint(const BlockFile& file, int64_t rows) {
  uint64_t hash = Hash64(std::filesystem::path(file.path()).filename().string());
  hash = Fold(hash, static_cast<uint64_t>(rows));
  if (!file.content_hash().empty()) return Mix64(Fold(hash, Hash64(file.content_hash())));
  hash = Fold(hash, static_cast<uint64_t>(file.bytes()));
  return Mix64(Fold(hash, file.footer_hash()));
}

class FileDataset final : public Dataset {
 public:
  FileDataset(Schema schema, std::vector<uint64_t> table_seeds)
      : schema_(std::move(schema)), table_seeds_(std::move(table_seeds)) {}

  void AddFile(std::shared_ptr<const BlockFile> file) {
    InputFile info;
    info.path = file->path();
    info.block_rows = file->block_rows();
    for (size_t i = 0; i < info.block_rows.size(); ++i) {
      blocks_.push_back({sources_.size(), static_cast<int64_t>(i), info.rows});
      info.rows += info.block_rows[i];
    }
    info.fingerprint = FileFingerprint(*file, info.rows);
    rows_ += info.rows;
    files_.push_back(std::move(info));
    sources_.push_back(std::move(file));
  }

  const std::vector<InputFile>& files() const override { return files_; }
  int64_t rows() const override { return rows_; }
  int64_t blocks() const override { return static_cast<int64_t>(blocks_.size()); }
  const Schema& schema() const override { return schema_; }

  uint64_t Fingerprint() const override {
    uint64_t hash = files_.size();
    for (const InputFile& file : files_) hash = Mix64(Fold(hash, file.fingerprint));
    return hash;
  }

  // Walks all rows, a minute for 10^10 of them: at the first call only.
  uint64_t ExpectedHash() const override {
    std::call_once(hash_once_, [this] {
      for (size_t f = 0; f < files_.size(); ++f) {
        for (int64_t row = 0; row < files_[f].rows; ++row) {
          expected_hash_ += LedgerHash(f, static_cast<uint64_t>(row));
        }
      }
    });
    return expected_hash_;
  }

  Result<std::vector<std::vector<NumericStatistics>>> BlockStatistics(int64_t begin,
                                                                      int64_t end) const override {
    std::vector<std::string> names;
    for (const NumericColumn& numeric : schema_.numeric) names.push_back(numeric.column);
    std::vector<std::vector<NumericStatistics>> statistics;
    for (int64_t block = begin; block < end; ++block) {
      std::vector<NumericStatistics>& of_block = statistics.emplace_back();
      if (names.empty()) continue;
      TRESTLE_ASSIGN_OR_RETURN(const auto columns, ReadColumns(block, names));
      for (size_t i = 0; i < names.size(); ++i) {
        of_block.push_back(ColumnStatistics(*columns[i], schema_.numeric[i]));
      }
    }
    return statistics;
  }

  Result<std::vector<std::vector<double>>> QuantileCells(int64_t begin,
                                                         int64_t end) const override {
    std::vector<std::vector<double>> cells(schema_.buckets.size());
    std::vector<std::string> names;
    std::vector<size_t> wanted;
    for (size_t b = 0; b < schema_.buckets.size(); ++b) {
      if (schema_.buckets[b].quantiles == 0) continue;
      names.push_back(schema_.buckets[b].column);
      wanted.push_back(b);
    }
    for (int64_t block = begin; block < end && !names.empty(); ++block) {
      const Place place = blocks_[static_cast<size_t>(block)];
      const auto take = [&](int64_t row) {
        return IsQuantileRow(place.file, static_cast<uint64_t>(place.first_row + row), rows_);
      };
      TRESTLE_ASSIGN_OR_RETURN(const auto columns, ReadColumns(block, names));
      for (size_t i = 0; i < wanted.size(); ++i) {
        AppendFinite(*columns[i], take, &cells[wanted[i]]);
      }
    }
    return cells;
  }

  Result<std::shared_ptr<const Block>> ReadBlock(
      int64_t block, const std::vector<NumericStatistics>& statistics,
      const std::vector<std::vector<double>>& bounds) const override {
    CHECK_EQ(statistics.size(), schema_.numeric.size());
    CHECK_EQ(bounds.size(), schema_.buckets.size());
    const Place place = blocks_[static_cast<size_t>(block)];
    TRESTLE_ASSIGN_OR_RETURN(const auto columns, ReadColumns(block, ColumnsToRead(schema_)));
    const int64_t rows = files_[place.file].block_rows[static_cast<size_t>(place.index)];
    auto decoded = DecodeBlock(schema_, table_seeds_, statistics, bounds, rows, columns);
    if (!decoded.ok()) return decoded.status().Wrap(PlaceName(place));
    return std::shared_ptr<const Block>(std::make_shared<const Block>(std::move(decoded).value()));
  }

 private:
  struct Place {
    size_t file;
    int64_t index;      // of the block in its file
    int64_t first_row;  // in the file
  };

  std::string PlaceName(const Place& place) const {
    const BlockFile& file = *sources_[place.file];
    return file.path() + ", " + file.block_name() + " " + std::to_string(place.index);
  }

  // Distinct names: the group may be an id as well.
  Result<std::vector<ArrowColumn>> ReadColumns(int64_t block,
                                               const std::vector<std::string>& names) const {
    const Place place = blocks_[static_cast<size_t>(block)];
    const std::set<std::string> sorted(names.begin(), names.end());
    const std::vector<std::string> distinct(sorted.begin(), sorted.end());
    TRESTLE_ASSIGN_OR_RETURN(const auto read, sources_[place.file]->Read(place.index, distinct));
    std::vector<ArrowColumn> columns;
    for (const std::string& name : names) {
      const auto at = std::lower_bound(distinct.begin(), distinct.end(), name) - distinct.begin();
      columns.push_back(read[static_cast<size_t>(at)]);
    }
    return columns;
  }

  Schema schema_;
  std::vector<uint64_t> table_seeds_;
  std::vector<InputFile> files_;
  std::vector<std::shared_ptr<const BlockFile>> sources_;
  std::vector<Place> blocks_;
  int64_t rows_ = 0;
  mutable std::once_flag hash_once_;
  mutable uint64_t expected_hash_ = 0;
};

// Checks columns over all files.
class ColumnChecker {
 public:
  ColumnChecker(const Schema& schema, bool check_types, InputProblems* problems)
      : uses_(ColumnUses(schema)),
        tables_(schema.tables),
        check_types_(check_types),
        problems_(problems) {}

  void Check(const BlockFile& file) {
    for (const ColumnUse& use : uses_) CheckColumn(file, use);
    for (size_t i = 0; i < file.block_rows().size(); ++i) {
      if (file.block_rows()[i] <= kMaxBlockRows) continue;
      problems_->Add(StatusCode::kInvalidData,
                     file.path() + ", " + file.block_name() + " " + std::to_string(i) + ": has " +
                         std::to_string(file.block_rows()[i]) + " rows, at most " +
                         std::to_string(kMaxBlockRows) +
                         " are allowed; `trestle prepare import` makes smaller ones");
      return;  // the file's other groups are as large
    }
  }

 private:
  void CheckColumn(const BlockFile& file, const ColumnUse& use) {
    const std::string where = file.path() + ": column \"" + use.name + "\" ";
    const std::vector<int> fields = file.schema()->GetAllFieldIndices(use.name);
    if (fields.size() != 1) {
      problems_->Add(StatusCode::kInvalidData,
                     where + (fields.empty() ? "is missing; the file has " + Names(*file.schema())
                                             : "occurs twice"));
      return;
    }
    const arrow::DataType& type = *file.schema()->field(fields[0])->type();
    const std::string problem = TypeProblem(use.role, type);
    if (!problem.empty()) {
      problems_->Add(StatusCode::kInvalidData, where + problem);
    } else if (use.table >= 0) {
      CheckKind(where, use, KeyKindOf(use.role, type));
      CheckType(where, use, KeyKindOf(use.role, type));
    }
  }

  void CheckType(const std::string& where, const ColumnUse& use, KeyKind kind) {
    const bool strings = kind == KeyKind::kString;
    if (!check_types_ || use.type == ANY || use.type == (strings ? STRING : INTEGER)) return;
    problems_->Add(StatusCode::kInvalidData,
                   where + (strings ? "holds strings, training read integers"
                                    : "holds integers, training read strings") +
                       ": the model would know none of them; write the column as what it was");
  }

  void CheckKind(const std::string& where, const ColumnUse& use, KeyKind kind) {
    const auto [it, first] = kinds_.try_emplace(use.table, kind, where);
    if (first || it->second.first == kind) return;
    const char* found = kind == KeyKind::kString ? "holds strings" : "holds integers";
    problems_->Add(StatusCode::kInvalidData, where + found + " and does not fit " +
                                                 it->second.second + "in the same table \"" +
                                                 tables_[static_cast<size_t>(use.table)].name +
                                                 "\"");
  }

  static std::string Names(const arrow::Schema& schema) {
    std::string text;
    for (const std::string& name : schema.field_names()) text += (text.empty() ? "" : ", ") + name;
    return text;
  }

  std::vector<ColumnUse> uses_;
  std::vector<TableColumn> tables_;
  const bool check_types_;
  InputProblems* problems_;
  std::map<int, std::pair<KeyKind, std::string>>
      kinds_;  // table -> kind and where it was first seen
};

}  // namespace

Result<std::vector<IdType>> IdTypesOf(const Schema& schema, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const auto file, OpenBlockFile(path));
  std::vector<IdType> types(schema.slots.size(), ANY);
  for (size_t s = 0; s < types.size(); ++s) {
    const Slot& slot = schema.slots[s];
    const auto field = file->schema()->GetFieldByName(slot.column);
    if (slot.crossed() || slot.bucket >= 0 || field == nullptr) continue;
    const KeyKind kind = KeyKindOf(RoleOf(slot), *field->type());
    if (kind != KeyKind::kNone) types[s] = kind == KeyKind::kString ? STRING : INTEGER;
  }
  return types;
}

Result<std::unique_ptr<Dataset>> OpenDataset(const Schema& schema, const DatasetOptions& options) {
  CHECK_EQ(options.table_seeds.size(), schema.tables.size());
  auto dataset = std::make_unique<FileDataset>(schema, options.table_seeds);
  InputProblems problems;
  ColumnChecker checker(schema, options.check_types, &problems);
  for (const std::string& path : FindInputFiles(options.patterns, &problems)) {
    auto file = OpenBlockFile(path);
    if (!file.ok()) {
      problems.Add(file.status().code(), file.status().ToString());
      continue;
    }
    checker.Check(**file);
    dataset->AddFile(std::move(file).value());
  }
  TRESTLE_RETURN_IF_ERROR(problems.ToStatus());
  if (dataset->rows() == 0) {
    std::string names;
    for (const std::string& pattern : options.patterns)
      names += (names.empty() ? "" : ", ") + pattern;
    return Status(StatusCode::kInvalidData,
                  names + ": no rows in " + std::to_string(dataset->files().size()) + " files");
  }
  return std::unique_ptr<Dataset>(std::move(dataset));
}

}  // namespace trestle
