// Numbers of label and numeric columns.
#include <arrow/array.h>
#include <arrow/chunked_array.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/float16.h>
#include <glog/logging.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "worker/block_decode.h"
#include "worker/derived_keys.h"
#include "worker/numeric_scaling.h"

namespace trestle {
namespace {

using arrow::internal::checked_cast;

template <class ArrayType, class Visitor>
void VisitTyped(const arrow::Array& untyped, int64_t first_row, Visitor&& visit) {
  const auto& array = checked_cast<const ArrayType&>(untyped);
  for (int64_t i = 0; i < array.length(); ++i) {
    if constexpr (std::is_same_v<ArrayType, arrow::HalfFloatArray>) {
      visit(first_row + i, array.IsNull(i),
            arrow::util::Float16::FromBits(array.Value(i)).ToDouble());
    } else {
      visit(first_row + i, array.IsNull(i), static_cast<double>(array.Value(i)));
    }
  }
}

// Calls visit(row, is_null, value) for each cell.
template <class Visitor>
void VisitNumbers(const arrow::ChunkedArray& column, Visitor&& visit) {
  int64_t row = 0;
  for (const auto& chunk : column.chunks()) {
    switch (chunk->type_id()) {
      case arrow::Type::BOOL:
        VisitTyped<arrow::BooleanArray>(*chunk, row, visit);
        break;
      case arrow::Type::INT8:
        VisitTyped<arrow::Int8Array>(*chunk, row, visit);
        break;
      case arrow::Type::INT16:
        VisitTyped<arrow::Int16Array>(*chunk, row, visit);
        break;
      case arrow::Type::INT32:
        VisitTyped<arrow::Int32Array>(*chunk, row, visit);
        break;
      case arrow::Type::INT64:
        VisitTyped<arrow::Int64Array>(*chunk, row, visit);
        break;
      case arrow::Type::UINT8:
        VisitTyped<arrow::UInt8Array>(*chunk, row, visit);
        break;
      case arrow::Type::UINT16:
        VisitTyped<arrow::UInt16Array>(*chunk, row, visit);
        break;
      case arrow::Type::UINT32:
        VisitTyped<arrow::UInt32Array>(*chunk, row, visit);
        break;
      case arrow::Type::UINT64:
        VisitTyped<arrow::UInt64Array>(*chunk, row, visit);
        break;
      case arrow::Type::HALF_FLOAT:
        VisitTyped<arrow::HalfFloatArray>(*chunk, row, visit);
        break;
      case arrow::Type::FLOAT:
        VisitTyped<arrow::FloatArray>(*chunk, row, visit);
        break;
      case arrow::Type::DOUBLE:
        VisitTyped<arrow::DoubleArray>(*chunk, row, visit);
        break;
      default:
        LOG(FATAL) << "numbers of " << chunk->type()->ToString();
    }
    row += chunk->length();
  }
}

std::string Text(double x) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", x);
  return text;
}

}  // namespace

std::vector<float> DecodeLabels(const arrow::ChunkedArray& column, const std::string& name,
                                std::optional<double> positive_from, BadRows* bad) {
  std::vector<float> labels(static_cast<size_t>(column.length()));
  VisitNumbers(column, [&](int64_t row, bool is_null, double x) {
    if (is_null) {
      bad->Add(row, name, "label is null");
    } else if (positive_from && std::isnan(x)) {
      bad->Add(row, name, "label is NaN");
    } else if (positive_from) {
      labels[static_cast<size_t>(row)] = x >= *positive_from ? 1 : 0;
    } else if (x != 0 && x != 1) {
      bad->Add(row, name, "label " + Text(x) + " is not 0 or 1");
    } else {
      labels[static_cast<size_t>(row)] = static_cast<float>(x);
    }
  });
  return labels;
}

std::vector<float> DecodeWeights(const arrow::ChunkedArray* column, const Schema& schema,
                                 const std::vector<float>& labels, BadRows* bad) {
  const std::string& name = schema.weight;
  std::vector<float> weights(labels.size(), 1);
  const auto set = [&](int64_t row, double x) {
    const auto i = static_cast<size_t>(row);
    if (!IsWeight(x)) {
      bad->Add(row, name, name + " " + Text(x) + " is no weight: below 0 or does not fit a float");
    } else if (column && x > schema.max_weight) {
      bad->Add(row, name,
               name + " " + Text(x) + ", the weight, is above data.max_weight, " +
                   Text(schema.max_weight));
    } else {
      weights[i] = static_cast<float>(labels[i] == 1 ? x * schema.positive_weight : x);
    }
  };
  if (!column) {
    for (size_t i = 0; i < labels.size(); ++i) set(static_cast<int64_t>(i), 1);
    return weights;
  }
  VisitNumbers(*column, [&](int64_t row, bool is_null, double x) {
    if (is_null) {
      bad->Add(row, name, name + ", the weight, is null");
    } else {
      set(row, x);
    }
  });
  return weights;
}

void DecodeNumeric(const arrow::ChunkedArray& column, const NumericColumn& spec,
                   const NumericStatistics& statistics, size_t index, size_t width,
                   std::vector<float>* block, BadRows* bad) {
  const Scaler scale(spec.scaling, statistics);
  VisitNumbers(column, [&](int64_t row, bool is_null, double x) {
    if (is_null && !spec.missing) {
      bad->Add(row, spec.column, spec.column + " is null and the feature has no `missing` value");
      return;
    }
    const double cell = is_null ? static_cast<double>(*spec.missing) : x;
    const double transformed = Transform(spec.transform, cell);
    const auto value = static_cast<float>(scale(transformed));
    if (!std::isfinite(cell)) {
      bad->Add(row, spec.column, spec.column + " is " + Text(cell));
    } else if (!FitsFloat(transformed) || !std::isfinite(value)) {
      bad->Add(row, spec.column, spec.column + " " + Text(cell) + " does not fit a float");
    } else {
      (*block)[static_cast<size_t>(row) * width + index] = value;
    }
  });
}

BlockKeys DecodeBuckets(const arrow::ChunkedArray& column, std::span<const double> bounds,
                        uint64_t seed, const std::string& name, BadRows* bad) {
  BlockKeys buckets;
  buckets.own_keys.resize(static_cast<size_t>(column.length()));
  const uint64_t missing = MissingKey(seed).value;
  VisitNumbers(column, [&](int64_t row, bool is_null, double x) {
    uint64_t& key = buckets.own_keys[static_cast<size_t>(row)];
    if (is_null) {
      key = missing;
    } else if (!std::isfinite(x)) {
      bad->Add(row, name, name + " is " + Text(x));
    } else {
      key = BucketOf(bounds, x);
    }
  });
  buckets.keys = buckets.own_keys.data();
  return buckets;
}

void AppendFinite(const arrow::ChunkedArray& column, const std::function<bool(int64_t)>& take,
                  std::vector<double>* cells) {
  VisitNumbers(column, [&](int64_t row, bool is_null, double x) {
    if (!is_null && std::isfinite(x) && take(row)) cells->push_back(x);
  });
}

NumericStatistics ColumnStatistics(const arrow::ChunkedArray& column, const NumericColumn& spec) {
  std::vector<double> cells;
  cells.reserve(static_cast<size_t>(column.length()));
  VisitNumbers(column, [&](int64_t, bool is_null, double x) {
    if (is_null && !spec.missing) return;
    const double cell = is_null ? static_cast<double>(*spec.missing) : x;
    const double transformed = Transform(spec.transform, cell);
    if (FitsFloat(transformed)) cells.push_back(transformed);
  });
  NumericStatistics statistics;
  if (cells.empty()) return statistics;
  const auto n = static_cast<double>(cells.size());
  double sum = 0, squares = 0;
  statistics.min = statistics.max = cells[0];
  for (const double x : cells) {
    sum += x;
    statistics.min = std::min(statistics.min, x);
    statistics.max = std::max(statistics.max, x);
  }
  statistics.count = static_cast<int64_t>(cells.size());
  statistics.mean = sum / n;
  for (const double x : cells) squares += (x - statistics.mean) * (x - statistics.mean);
  statistics.std = std::sqrt(squares / n);
  return statistics;
}

}  // namespace trestle
