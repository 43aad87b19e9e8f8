#include "worker/prediction_block.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/result.h>
#include <arrow/type.h>

#include "worker/metrics_terms.h"

namespace trestle {
namespace {

// A list column while its rows are appended.
class Lists {
 public:
  explicit Lists(const std::shared_ptr<arrow::DataType>& type)
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

}  // namespace

struct PredictionBlock::Builders {
  arrow::FloatBuilder logits;
  arrow::DoubleBuilder predictions;
  std::vector<std::unique_ptr<Lists>> lists;  // of attention, then of embeddings
};

PredictionBlock::PredictionBlock(const std::vector<std::string>& attention,
                                 const std::vector<ModelOutputSpec::Embedding>& embeddings)
    : embeddings_(embeddings), builders_(std::make_unique<Builders>()) {
  for (const std::string& history : attention) AddLists("attention_" + history);
  for (const auto& embedding : embeddings) AddLists("embedding_" + embedding.name);
}

PredictionBlock::~PredictionBlock() = default;

int64_t PredictionBlock::rows() const { return builders_->logits.length(); }

void PredictionBlock::AddLists(const std::string& name) {
  fields_.push_back(arrow::field(name, arrow::list(arrow::field("item", arrow::float32(), false))));
  builders_->lists.push_back(std::make_unique<Lists>(fields_.back()->type()));
}

arrow::Status PredictionBlock::AppendNulls() {
  ARROW_RETURN_NOT_OK(builders_->logits.AppendNull());
  ARROW_RETURN_NOT_OK(builders_->predictions.AppendNull());
  for (auto& lists : builders_->lists) ARROW_RETURN_NOT_OK(lists->AppendNull());
  return arrow::Status::OK();
}

arrow::Status PredictionBlock::Append(const PredictedRows& rows, size_t row, Cursor* at) {
  if (!rows.accepted[row]) return AppendNulls();
  const float logit = rows.logits[at->accepted];
  const double prediction = Probability(logit);
  prediction_sum_ += prediction;
  ++predicted_;
  ARROW_RETURN_NOT_OK(builders_->logits.Append(logit));
  ARROW_RETURN_NOT_OK(builders_->predictions.Append(prediction));
  const size_t histories = builders_->lists.size() - embeddings_.size();
  for (size_t i = 0; i < histories; ++i) {
    const PredictedRows::Lists& weights = rows.attention[i];
    const int32_t count = weights.lengths[at->accepted];
    ARROW_RETURN_NOT_OK(builders_->lists[i]->Append(weights.values.data() + at->items[i], count));
    at->items[i] += static_cast<size_t>(count);
  }
  for (size_t i = 0; i < embeddings_.size(); ++i) {
    const int dim = embeddings_[i].dim;
    const float* const values = rows.embeddings[i].data() + at->accepted * static_cast<size_t>(dim);
    ARROW_RETURN_NOT_OK(builders_->lists[histories + i]->Append(values, dim));
  }
  ++at->accepted;
  return arrow::Status::OK();
}

arrow::Result<PredictionBlock::Columns> PredictionBlock::Finish() {
  Columns columns;
  ARROW_ASSIGN_OR_RAISE(columns.logits, builders_->logits.Finish());
  ARROW_RETURN_NOT_OK(builders_->predictions.Finish(&columns.predictions));
  for (auto& lists : builders_->lists) {
    ARROW_ASSIGN_OR_RAISE(columns.lists.emplace_back(), lists->Finish());
  }
  return columns;
}

}  // namespace trestle
