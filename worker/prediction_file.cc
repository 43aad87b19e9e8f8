#include "worker/prediction_file.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <optional>

#include "worker/block_types.h"
#include "worker/ecpm.h"
#include "worker/input_columns.h"
#include "worker/input_files.h"
#include "worker/prediction_block.h"
#include "worker/row_sink.h"
#include "worker/waiting_rows.h"

namespace trestle {
namespace {

using Arrays = std::vector<std::shared_ptr<arrow::Array>>;
using Fields = std::vector<std::shared_ptr<arrow::Field>>;

bool IsCsv(const std::string& path) { return path.ends_with(".csv"); }

std::vector<std::string> Paths(const std::vector<InputFile>& input) {
  std::vector<std::string> paths;
  for (const InputFile& file : input) paths.push_back(file.path);
  return paths;
}

// The disk that has room for the output; an object store is none.
std::string FolderToWaitIn(FileSystem& fs, const std::string& output) {
  if (fs.AppearsWhole(output)) return std::filesystem::temp_directory_path().string();
  const std::string folder = std::filesystem::path(output).parent_path().string();
  return folder.empty() ? "." : folder;
}

class TableFile final : public PredictionFile {
 public:
  TableFile(const std::vector<InputFile>& input, const PredictionFileOptions& options)
      : options_(options), block_(options.attention, options.embeddings) {
    for (const InputFile& file : input) {
      block_rows_.insert(block_rows_.end(), file.block_rows.begin(), file.block_rows.end());
    }
  }

  Status Open(FileSystem& fs, const std::vector<InputFile>& input) {
    TRESTLE_RETURN_IF_ERROR(OpenColumns(Paths(input)));
    const Fields fields = MakeFields();
    TRESTLE_RETURN_IF_ERROR(CheckNames(fields));
    schema_ = arrow::schema(fields);
    TRESTLE_ASSIGN_OR_RETURN(sink_, IsCsv(options_.path)
                                        ? MakeCsvSink(fs, options_.path, schema_)
                                        : MakeParquetSink(fs, options_.path, schema_));
    if (options_.request.empty()) return {};
    waiting_schema_ = *schema_->RemoveField(schema_->GetFieldIndex("rank"));
    TRESTLE_ASSIGN_OR_RETURN(
        waiting_, WaitingRows::Create(FolderToWaitIn(fs, options_.path), waiting_schema_));
    return {};
  }

  Status Append(const PredictedRows& rows) override {
    PredictionBlock::Cursor at(rows);
    for (size_t row = 0; row < rows.rows(); ++row) {
      while (number_ < block_rows_.size() && block_rows_[number_] == 0) ++number_;
      if (number_ == block_rows_.size()) {
        return {StatusCode::kInternal, "predictions: more rows than the input has"};
      }
      if (rows.accepted[row] && !std::isfinite(rows.logits[at.accepted])) {
        return {StatusCode::kNumeric,
                "the prediction of row " + std::to_string(rows_) + " of the input is not finite"};
      }
      TRESTLE_RETURN_IF_ERROR(Internal(block_.Append(rows, row, &at)));
      ++rows_;
      if (block_.rows() == block_rows_[number_]) TRESTLE_RETURN_IF_ERROR(EndBlock());
    }
    return {};
  }

  Status Commit() override {
    const int64_t expected = std::accumulate(block_rows_.begin(), block_rows_.end(), int64_t{0});
    if (rows_ != expected) {
      return {StatusCode::kInternal, "predictions: " + std::to_string(rows_) +
                                         " rows, the input has " + std::to_string(expected)};
    }
    if (waiting_) {
      const std::vector<int32_t> ranks = ranks_.Take();
      size_t row = 0;
      TRESTLE_RETURN_IF_ERROR(waiting_->Read([&](const arrow::RecordBatch& batch) -> Status {
        const auto rows = static_cast<size_t>(batch.num_rows());
        auto ranked = WithRanks(batch, std::span(ranks).subspan(row, rows), *schema_);
        if (!ranked.ok()) return Internal(ranked.status());
        row += rows;
        return sink_->Write(**ranked);
      }));
    }
    return sink_->Commit();
  }

  int64_t rows() const override { return rows_; }
  double mean_prediction() const override { return block_.mean_prediction(); }

 private:
  static Status Internal(const arrow::Status& status) {
    if (status.ok()) return {};
    return {status.IsOutOfMemory() ? StatusCode::kOutOfMemory : StatusCode::kInternal,
            "predictions: " + status.message()};
  }

  Status OpenColumns(const std::vector<std::string>& files) {
    std::vector<std::string> names;
    for (const auto& column : options_.columns) {
      if (!column.stored_as.empty()) names.push_back(column.stored_as);
    }
    const auto open = [&](const std::vector<std::string>& wanted, const char* flag) {
      return InputColumns::Open(files, wanted, flag, options_.imported);
    };
    TRESTLE_ASSIGN_OR_RETURN(columns_, open(names, "--columns"));
    if (!options_.bid.empty()) {
      TRESTLE_ASSIGN_OR_RETURN(bid_, open({options_.bid}, "--bid"));
      TRESTLE_RETURN_IF_ERROR(CheckType(*bid_, ColumnRole::kNumeric, "--bid " + options_.bid));
    }
    if (!options_.request.empty()) {
      TRESTLE_ASSIGN_OR_RETURN(request_, open({options_.request}, "--request"));
      TRESTLE_RETURN_IF_ERROR(
          CheckType(*request_, ColumnRole::kGroup, "--request " + options_.request));
    }
    return {};
  }

  static Status CheckType(const InputColumns& column, ColumnRole role, const std::string& flag) {
    const std::string problem = TypeProblem(role, *column.types().front());
    if (problem.empty()) return {};
    return {StatusCode::kInvalidConfig, flag + ": the column " + problem};
  }

  Fields MakeFields() {
    Fields fields;
    size_t next = 0;
    for (const auto& column : options_.columns) {
      const bool number = column.stored_as.empty();
      fields.push_back(
          arrow::field(column.name, number ? arrow::int64() : columns_->types()[next]));
      next += number ? 0 : 1;
    }
    fields.push_back(arrow::field("logit", arrow::float32()));
    fields.push_back(arrow::field("prediction", arrow::float64()));
    if (bid_) fields.push_back(arrow::field("ecpm", arrow::float64()));
    if (request_) fields.push_back(arrow::field("rank", arrow::int32()));
    const Fields& lists = block_.list_fields();
    fields.insert(fields.end(), lists.begin(), lists.end());
    return fields;
  }

  Status CheckNames(const Fields& fields) const {
    for (size_t i = 0; i < options_.columns.size(); ++i) {
      const std::string& name = fields[i]->name();
      const auto same = std::ranges::count(fields, name, &arrow::Field::name);
      if (same == 1) continue;
      return {StatusCode::kInvalidConfig,
              "--columns " + name + ": the output would have two columns of this name"};
    }
    return {};
  }

  // Of the block that is open.
  Result<Arrays> Read(const std::optional<InputColumns>& columns) const {
    if (!columns) return Arrays();
    TRESTLE_ASSIGN_OR_RETURN(Arrays arrays, columns->Read(number_));
    for (const auto& array : arrays) {
      if (array->length() == block_.rows()) continue;
      return Status(StatusCode::kInternal,
                    "predictions: a column has " + std::to_string(array->length()) +
                        " rows in a block of " + std::to_string(block_.rows()));
    }
    return arrays;
  }

  // The rows of a block of the input are together: they get their columns and are written.
  Status EndBlock() {
    TRESTLE_ASSIGN_OR_RETURN(const Arrays columns, Read(columns_));
    TRESTLE_ASSIGN_OR_RETURN(const Arrays bid, Read(bid_));
    TRESTLE_ASSIGN_OR_RETURN(const Arrays request, Read(request_));
    const auto batch = MakeBatch(columns, bid, request);
    if (!batch.ok()) return Internal(batch.status());
    ++number_;
    return waiting_ ? waiting_->Write(**batch) : sink_->Write(**batch);
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> MakeBatch(const Arrays& columns,
                                                               const Arrays& bid,
                                                               const Arrays& request) {
    const int64_t rows = block_.rows();
    Arrays arrays;
    size_t next = 0;
    for (const auto& column : options_.columns) {
      if (!column.stored_as.empty()) {
        arrays.push_back(columns[next++]);
        continue;
      }
      ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), RowNumbers(rows));
    }
    ARROW_ASSIGN_OR_RAISE(const PredictionBlock::Columns shown, block_.Finish());
    arrays.push_back(shown.logits);
    arrays.push_back(shown.predictions);
    std::shared_ptr<arrow::DoubleArray> scores = shown.predictions;  // what ranks are by
    if (!bid.empty()) {
      ARROW_ASSIGN_OR_RAISE(scores, Ecpm(*bid.front(), *scores));
      arrays.push_back(scores);
    }
    if (!request.empty()) AddToRanks(request.front(), *scores, &ranks_);
    arrays.insert(arrays.end(), shown.lists.begin(), shown.lists.end());
    return arrow::RecordBatch::Make(waiting_ ? waiting_schema_ : schema_, rows, std::move(arrays));
  }

  arrow::Result<std::shared_ptr<arrow::Array>> RowNumbers(int64_t rows) const {
    arrow::Int64Builder builder;
    ARROW_RETURN_NOT_OK(builder.Reserve(rows));
    for (int64_t row = rows_ - rows; row < rows_; ++row) builder.UnsafeAppend(row);
    return builder.Finish();
  }

  const PredictionFileOptions options_;
  std::optional<InputColumns> columns_, bid_, request_;
  std::shared_ptr<arrow::Schema> schema_, waiting_schema_;  // the latter without ranks
  std::unique_ptr<RowSink> sink_;
  std::unique_ptr<WaitingRows> waiting_;  // where there are ranks
  std::vector<int64_t> block_rows_;       // of the input
  size_t number_ = 0;                     // of the block that is open
  PredictionBlock block_;                 // its rows so far
  RequestRanks ranks_;
  int64_t rows_ = 0;
};

}  // namespace

Status CheckPredictionPath(FileSystem& fs, const std::string& path, bool force,
                           const std::vector<std::string>& input) {
  const auto refuse = [&](const std::string& why) {
    return Status(StatusCode::kInvalidConfig, why);
  };
  if (!path.ends_with(".parquet") && !IsCsv(path)) {
    return refuse("--output " + path +
                  ": must end in .parquet or .csv, which says what is written");
  }
  InputProblems ignored;  // whoever opens the input tells
  for (const std::string& file : FindInputFiles(input, &ignored)) {
    std::error_code missing;
    if (!std::filesystem::equivalent(path, file, missing)) continue;
    return refuse("--output " + path + ": is --input's " + file + "; choose another file");
  }
  if (!force && fs.Exists(path)) {
    return refuse(path + ": exists; choose another --output, or overwrite it with --force");
  }
  if (fs.AppearsWhole(path)) return {};  // an object store makes folders itself
  const std::string folder = std::filesystem::path(path).parent_path().string();
  std::error_code unknown;
  if (folder.empty() || std::filesystem::is_directory(folder, unknown)) return {};
  return refuse("--output " + path + ": there is no folder " + folder + "; make it first");
}

Result<std::unique_ptr<PredictionFile>> CreatePredictionFile(FileSystem& fs,
                                                             const std::vector<InputFile>& input,
                                                             const PredictionFileOptions& options) {
  auto file = std::make_unique<TableFile>(input, options);
  TRESTLE_RETURN_IF_ERROR(file->Open(fs, input));
  return std::unique_ptr<PredictionFile>(std::move(file));
}

}  // namespace trestle
