#include "worker/prediction_block.h"

#include "worker/metrics_terms.h"

namespace trestle {

PredictionBlock::PredictionBlock(const std::vector<std::string>& attention,
                                 const std::vector<ModelOutputSpec::Embedding>& embeddings)
    : embeddings_(embeddings) {
  for (const std::string& history : attention) AddLists("attention_" + history);
  for (const auto& embedding : embeddings) AddLists("embedding_" + embedding.name);
}

void PredictionBlock::AddLists(const std::string& name) {
  fields_.push_back(arrow::field(name, arrow::list(arrow::field("item", arrow::float32(), false))));
  lists_.push_back(std::make_unique<Lists>(fields_.back()->type()));
}

arrow::Status PredictionBlock::AppendNulls() {
  ARROW_RETURN_NOT_OK(logits_.AppendNull());
  ARROW_RETURN_NOT_OK(predictions_.AppendNull());
  for (auto& lists : lists_) ARROW_RETURN_NOT_OK(lists->AppendNull());
  return arrow::Status::OK();
}

arrow::Status PredictionBlock::Append(const PredictedRows& rows, size_t row, Cursor* at) {
  if (!rows.accepted[row]) return AppendNulls();
  const float logit = rows.logits[at->accepted];
  const double prediction = Probability(logit);
  prediction_sum_ += prediction;
  ++predicted_;
  ARROW_RETURN_NOT_OK(logits_.Append(logit));
  ARROW_RETURN_NOT_OK(predictions_.Append(prediction));
  const size_t histories = lists_.size() - embeddings_.size();
  for (size_t i = 0; i < histories; ++i) {
    const PredictedRows::Lists& weights = rows.attention[i];
    const int32_t count = weights.lengths[at->accepted];
    ARROW_RETURN_NOT_OK(lists_[i]->Append(weights.values.data() + at->items[i], count));
    at->items[i] += static_cast<size_t>(count);
  }
  for (size_t i = 0; i < embeddings_.size(); ++i) {
    const int dim = embeddings_[i].dim;
    const float* const values = rows.embeddings[i].data() + at->accepted * static_cast<size_t>(dim);
    ARROW_RETURN_NOT_OK(lists_[histories + i]->Append(values, dim));
  }
  ++at->accepted;
  return arrow::Status::OK();
}

arrow::Result<PredictionBlock::Columns> PredictionBlock::Finish() {
  Columns columns;
  ARROW_ASSIGN_OR_RAISE(columns.logits, logits_.Finish());
  ARROW_RETURN_NOT_OK(predictions_.Finish(&columns.predictions));
  for (auto& lists : lists_) {
    ARROW_ASSIGN_OR_RAISE(columns.lists.emplace_back(), lists->Finish());
  }
  return columns;
}

}  // namespace trestle
