#include "worker/prediction_file.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/chunked_array.h>
#include <arrow/compute/cast.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/checked_cast.h>
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "worker/arrow_output.h"
#include "worker/block_arrow.h"
#include "worker/block_decode.h"
#include "worker/block_types.h"
#include "worker/input_columns.h"
#include "worker/metrics.h"
#include "worker/metrics_terms.h"
#include "worker/request_ranks.h"
#include "worker/row_sink.h"

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

std::shared_ptr<arrow::Field> ListField(const std::string& name) {
  return arrow::field(name, arrow::list(arrow::field("item", arrow::float32(), false)));
}

// A list column while its rows are appended.
class FloatLists {
 public:
  explicit FloatLists(const std::shared_ptr<arrow::DataType>& type)
      : values_(std::make_shared<arrow::FloatBuilder>()),
        lists_(arrow::default_memory_pool(), values_, type) {}

  arrow::Status Append(const float* values, int64_t count) {
    ARROW_RETURN_NOT_OK(lists_.Append());
    return values_->AppendValues(values, count);
  }
  arrow::Status AppendNull() { return lists_.AppendNull(); }
  arrow::Result<std::shared_ptr<arrow::Array>> Finish() { return lists_.Finish(); }

 private:
  std::shared_ptr<arrow::FloatBuilder> values_;
  arrow::ListBuilder lists_;
};

// Rows that wait for their ranks. The file goes with the object.
class WaitingRows {
 public:
  static Result<std::unique_ptr<WaitingRows>> Create(FileSystem& fs, const std::string& path,
                                                     std::shared_ptr<arrow::Schema> schema) {
    TRESTLE_ASSIGN_OR_RETURN(auto output, ArrowOutput::Create(fs, path));
    auto rows = std::unique_ptr<WaitingRows>(new WaitingRows(fs, std::move(output)));
    auto writer = arrow::ipc::MakeStreamWriter(rows->output_->stream(), std::move(schema));
    if (!writer.ok()) return rows->output_->StatusOf(writer.status());
    rows->writer_ = *std::move(writer);
    return rows;
  }
  ~WaitingRows() {
    if (!named_ || !fs_.Exists(output_->path())) return;
    const Status removed = fs_.Remove(output_->path());
    LOG_IF(WARNING, !removed.ok()) << removed.ToString();
  }

  Status Write(const arrow::RecordBatch& rows) {
    return output_->StatusOf(writer_->WriteRecordBatch(rows));
  }

  // All rows, batch after batch; nothing can be written any more.
  Status Read(const std::function<Status(const arrow::RecordBatch&)>& visit) {
    TRESTLE_RETURN_IF_ERROR(output_->StatusOf(writer_->Close()));
    named_ = true;
    TRESTLE_RETURN_IF_ERROR(output_->Commit());
    TRESTLE_ASSIGN_OR_RETURN(const auto file, OpenForReading(output_->path()));
    auto reader = arrow::ipc::RecordBatchStreamReader::Open(file);
    if (!reader.ok()) return FromArrow(reader.status(), output_->path());
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      TRESTLE_RETURN_IF_ERROR(FromArrow((*reader)->ReadNext(&batch), output_->path()));
      if (!batch) return {};
      TRESTLE_RETURN_IF_ERROR(visit(*batch));
    }
  }

 private:
  WaitingRows(FileSystem& fs, std::unique_ptr<ArrowOutput> output)
      : fs_(fs), output_(std::move(output)) {}

  FileSystem& fs_;
  const std::unique_ptr<ArrowOutput> output_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
  bool named_ = false;  // the file may have its name
};

class TableFile final : public PredictionFile {
 public:
  TableFile(const std::vector<InputFile>& input, const PredictionFileOptions& options)
      : options_(options) {
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
    TRESTLE_ASSIGN_OR_RETURN(waiting_,
                             WaitingRows::Create(fs, options_.path + ".rows", waiting_schema_));
    return {};
  }

  Status Append(const PredictedRows& rows) override {
    Cursor at(rows);
    for (size_t row = 0; row < rows.rows(); ++row) {
      while (block_rows_[block_] == 0) ++block_;
      if (rows.accepted[row] && !std::isfinite(rows.logits[at.accepted])) {
        return {StatusCode::kNumeric,
                "the prediction of row " + std::to_string(rows_) + " of the input is not finite"};
      }
      TRESTLE_RETURN_IF_ERROR(Internal(AppendRow(rows, row, &at)));
      ++rows_;
      if (logits_.length() == block_rows_[block_]) TRESTLE_RETURN_IF_ERROR(EndBlock());
    }
    return {};
  }

  Status Commit() override {
    CHECK_EQ(logits_.length(), 0);
    if (waiting_) {
      const std::vector<int32_t> ranks = ranks_.Take();
      size_t row = 0;
      TRESTLE_RETURN_IF_ERROR(waiting_->Read([&](const arrow::RecordBatch& batch) -> Status {
        const auto rows = static_cast<size_t>(batch.num_rows());
        auto ranked = Ranked(batch, std::span(ranks).subspan(row, rows));
        if (!ranked.ok()) return Internal(ranked.status());
        row += rows;
        return sink_->Write(**ranked);
      }));
    }
    return sink_->Commit();
  }

  int64_t rows() const override { return rows_; }
  double mean_prediction() const override {
    return predicted_ > 0 ? prediction_sum_ / static_cast<double>(predicted_) : 0;
  }

 private:
  // Where the accepted rows of a PredictedRows stand.
  struct Cursor {
    explicit Cursor(const PredictedRows& rows) : items(rows.attention.size()) {}
    size_t accepted = 0;
    std::vector<size_t> items;
  };

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
    for (const std::string& name : options_.attention) {
      fields.push_back(ListField("attention_" + name));
      attention_.push_back(std::make_unique<FloatLists>(fields.back()->type()));
    }
    for (const auto& embedding : options_.embeddings) {
      fields.push_back(ListField("embedding_" + embedding.name));
      embeddings_.push_back(std::make_unique<FloatLists>(fields.back()->type()));
    }
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

  arrow::Status AppendRow(const PredictedRows& rows, size_t row, Cursor* at) {
    if (!rows.accepted[row]) {
      ARROW_RETURN_NOT_OK(logits_.AppendNull());
      ARROW_RETURN_NOT_OK(predictions_.AppendNull());
      for (auto& lists : attention_) ARROW_RETURN_NOT_OK(lists->AppendNull());
      for (auto& lists : embeddings_) ARROW_RETURN_NOT_OK(lists->AppendNull());
      return arrow::Status::OK();
    }
    const float logit = rows.logits[at->accepted];
    const double prediction = Probability(logit);
    prediction_sum_ += prediction;
    ++predicted_;
    ARROW_RETURN_NOT_OK(logits_.Append(logit));
    ARROW_RETURN_NOT_OK(predictions_.Append(prediction));
    for (size_t i = 0; i < attention_.size(); ++i) {
      const PredictedRows::Lists& weights = rows.attention[i];
      const int32_t count = weights.lengths[at->accepted];
      ARROW_RETURN_NOT_OK(attention_[i]->Append(weights.values.data() + at->items[i], count));
      at->items[i] += static_cast<size_t>(count);
    }
    for (size_t i = 0; i < embeddings_.size(); ++i) {
      const int dim = options_.embeddings[i].dim;
      const float* const values =
          rows.embeddings[i].data() + at->accepted * static_cast<size_t>(dim);
      ARROW_RETURN_NOT_OK(embeddings_[i]->Append(values, dim));
    }
    ++at->accepted;
    return arrow::Status::OK();
  }

  // The rows of a block of the input are together: they get their columns and are written.
  Status EndBlock() {
    TRESTLE_ASSIGN_OR_RETURN(const Arrays columns, columns_->Read(block_));
    Arrays bid, request;
    if (bid_) {
      TRESTLE_ASSIGN_OR_RETURN(bid, bid_->Read(block_));
    }
    if (request_) {
      TRESTLE_ASSIGN_OR_RETURN(request, request_->Read(block_));
    }
    const auto batch = MakeBatch(columns, bid, request);
    if (!batch.ok()) return Internal(batch.status());
    ++block_;
    return waiting_ ? waiting_->Write(**batch) : sink_->Write(**batch);
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> MakeBatch(const Arrays& columns,
                                                               const Arrays& bid,
                                                               const Arrays& request) {
    const int64_t rows = logits_.length();
    Arrays arrays;
    size_t next = 0;
    for (const auto& column : options_.columns) {
      if (!column.stored_as.empty()) {
        arrays.push_back(columns[next++]);
        continue;
      }
      ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), RowNumbers(rows));
    }
    ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), logits_.Finish());
    std::shared_ptr<arrow::DoubleArray> scores;  // what ranks are by
    ARROW_RETURN_NOT_OK(predictions_.Finish(&scores));
    arrays.push_back(scores);
    if (!bid.empty()) {
      ARROW_ASSIGN_OR_RAISE(scores, Ecpm(*bid.front(), *scores));
      arrays.push_back(scores);
    }
    if (!request.empty()) AddToRanks(request.front(), *scores);
    for (auto& lists : attention_) {
      ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), lists->Finish());
    }
    for (auto& lists : embeddings_) {
      ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), lists->Finish());
    }
    return arrow::RecordBatch::Make(waiting_ ? waiting_schema_ : schema_, rows, std::move(arrays));
  }

  arrow::Result<std::shared_ptr<arrow::Array>> RowNumbers(int64_t rows) const {
    arrow::Int64Builder builder;
    ARROW_RETURN_NOT_OK(builder.Reserve(rows));
    for (int64_t row = rows_ - rows; row < rows_; ++row) builder.UnsafeAppend(row);
    return builder.Finish();
  }

  static arrow::Result<std::shared_ptr<arrow::DoubleArray>> Ecpm(
      const arrow::Array& bid, const arrow::DoubleArray& predictions) {
    ARROW_ASSIGN_OR_RAISE(const auto cast, arrow::compute::Cast(bid, arrow::float64()));
    const auto& bids = arrow::internal::checked_cast<const arrow::DoubleArray&>(*cast);
    arrow::DoubleBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Reserve(predictions.length()));
    for (int64_t i = 0; i < predictions.length(); ++i) {
      const bool known = !predictions.IsNull(i) && !bids.IsNull(i) && std::isfinite(bids.Value(i));
      const double ecpm = known ? 1000 * bids.Value(i) * predictions.Value(i) : 0;
      if (known && std::isfinite(ecpm)) {
        builder.UnsafeAppend(ecpm);
      } else {
        builder.UnsafeAppendNull();
      }
    }
    std::shared_ptr<arrow::DoubleArray> ecpm;
    ARROW_RETURN_NOT_OK(builder.Finish(&ecpm));
    return ecpm;
  }

  void AddToRanks(const std::shared_ptr<arrow::Array>& request, const arrow::DoubleArray& scores) {
    const BlockKeys keys = DecodeIds(arrow::ChunkedArray(request), 0);
    for (int64_t i = 0; i < scores.length(); ++i) {
      if (scores.IsNull(i) || request->IsNull(i)) {
        ranks_.AddNone();
      } else {
        ranks_.Add(keys.keys[i], scores.Value(i));
      }
    }
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Ranked(const arrow::RecordBatch& rows,
                                                            std::span<const int32_t> ranks) const {
    arrow::Int32Builder builder;
    for (const int32_t rank : ranks) {
      ARROW_RETURN_NOT_OK(rank > 0 ? builder.Append(rank) : builder.AppendNull());
    }
    ARROW_ASSIGN_OR_RAISE(auto array, builder.Finish());
    const int index = schema_->GetFieldIndex("rank");
    return rows.AddColumn(index, schema_->field(index), array);
  }

  const PredictionFileOptions options_;
  std::optional<InputColumns> columns_, bid_, request_;
  std::shared_ptr<arrow::Schema> schema_, waiting_schema_;  // the latter without ranks
  std::unique_ptr<RowSink> sink_;
  std::unique_ptr<WaitingRows> waiting_;  // where there are ranks
  std::vector<int64_t> block_rows_;       // of the input
  size_t block_ = 0;
  arrow::FloatBuilder logits_;  // of the block, as what follows
  arrow::DoubleBuilder predictions_;
  std::vector<std::unique_ptr<FloatLists>> attention_, embeddings_;
  RequestRanks ranks_;
  int64_t rows_ = 0;
  int64_t predicted_ = 0;
  double prediction_sum_ = 0;
};

}  // namespace

Status CheckPredictionPath(FileSystem& fs, const std::string& path, bool force) {
  if (!path.ends_with(".parquet") && !IsCsv(path)) {
    return {StatusCode::kInvalidConfig,
            "--output " + path + ": must end in .parquet or .csv, which says what is written"};
  }
  if (!force && fs.Exists(path)) {
    return {StatusCode::kInvalidConfig,
            path + ": exists; choose another --output, or overwrite it with --force"};
  }
  return {};
}

Result<std::unique_ptr<PredictionFile>> CreatePredictionFile(FileSystem& fs,
                                                             const std::vector<InputFile>& input,
                                                             const PredictionFileOptions& options) {
  auto file = std::make_unique<TableFile>(input, options);
  TRESTLE_RETURN_IF_ERROR(file->Open(fs, input));
  return std::unique_ptr<PredictionFile>(std::move(file));
}

}  // namespace trestle
