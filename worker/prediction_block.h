// PredictionBlock: what the model says of the rows of one block of the input, as columns: logits,
// probabilities, and the lists of attention and embeddings. A rejected row has nulls.
//
// Thread safety: one thread.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/model.h"
#include "worker/predicted_rows.h"

namespace trestle {

class PredictionBlock {
 public:
  // Where the accepted rows of a PredictedRows stand that are appended next.
  struct Cursor {
    explicit Cursor(const PredictedRows& rows) : items(rows.attention.size()) {}
    size_t accepted = 0;
    std::vector<size_t> items;
  };
  struct Columns {
    std::shared_ptr<arrow::Array> logits;
    std::shared_ptr<arrow::DoubleArray> predictions;
    std::vector<std::shared_ptr<arrow::Array>> lists;  // per list_fields
  };

  // `attention` names histories, as PredictionFileOptions has them.
  PredictionBlock(const std::vector<std::string>& attention,
                  const std::vector<ModelOutputSpec::Embedding>& embeddings);

  ~PredictionBlock();
  PredictionBlock(const PredictionBlock&) = delete;
  PredictionBlock& operator=(const PredictionBlock&) = delete;

  const std::vector<std::shared_ptr<arrow::Field>>& list_fields() const { return fields_; }
  int64_t rows() const;
  arrow::Status Append(const PredictedRows& rows, size_t row, Cursor* at);
  // The block is empty again.
  arrow::Result<Columns> Finish();

  // Of all blocks, over the rows that have one.
  double mean_prediction() const {
    return predicted_ > 0 ? prediction_sum_ / static_cast<double>(predicted_) : 0;
  }

 private:
  struct Builders;

  void AddLists(const std::string& name);
  arrow::Status AppendNulls();

  const std::vector<ModelOutputSpec::Embedding> embeddings_;
  std::vector<std::shared_ptr<arrow::Field>> fields_;
  std::unique_ptr<Builders> builders_;
  int64_t predicted_ = 0;
  double prediction_sum_ = 0;
};

}  // namespace trestle
