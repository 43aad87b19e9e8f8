#include "worker/ecpm.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/chunked_array.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/checked_cast.h>

#include <cmath>

#include "worker/block_decode.h"

namespace trestle {

arrow::Result<std::shared_ptr<arrow::DoubleArray>> Ecpm(const arrow::Array& bid,
                                                        const arrow::DoubleArray& predictions) {
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

void AddToRanks(const std::shared_ptr<arrow::Array>& request, const arrow::DoubleArray& scores,
                RequestRanks* ranks) {
  const BlockKeys keys = DecodeIds(arrow::ChunkedArray(request), 0);
  for (int64_t i = 0; i < scores.length(); ++i) {
    if (scores.IsNull(i) || request->IsNull(i)) {
      ranks->AddNone();
    } else {
      ranks->Add(keys.keys[i], scores.Value(i));
    }
  }
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> WithRanks(const arrow::RecordBatch& rows,
                                                             std::span<const int32_t> ranks,
                                                             const arrow::Schema& schema) {
  arrow::Int32Builder builder;
  for (const int32_t rank : ranks) {
    ARROW_RETURN_NOT_OK(rank > 0 ? builder.Append(rank) : builder.AppendNull());
  }
  ARROW_ASSIGN_OR_RAISE(auto array, builder.Finish());
  const int index = schema.GetFieldIndex("rank");
  return rows.AddColumn(index, schema.field(index), array);
}

}  // namespace trestle
