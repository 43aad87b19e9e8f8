// eCPM of predictions, and the rows' ranks by a score, as columns.
//
// Thread safety: pure functions, but for `ranks`.
#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <span>

#include "worker/request_ranks.h"

namespace trestle {

// 1000 * bid * prediction; null where one of them is missing or the result is not finite.
arrow::Result<std::shared_ptr<arrow::DoubleArray>> Ecpm(const arrow::Array& bid,
                                                        const arrow::DoubleArray& predictions);

// The next rows; those without a request or a score have no rank.
void AddToRanks(const std::shared_ptr<arrow::Array>& request, const arrow::DoubleArray& scores,
                RequestRanks* ranks);

// The rows with the column "rank" where `schema` has it, null for 0.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> WithRanks(const arrow::RecordBatch& rows,
                                                             std::span<const int32_t> ranks,
                                                             const arrow::Schema& schema);

}  // namespace trestle
