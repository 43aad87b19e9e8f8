// From Arrow columns to a Block: keys, numbers, labels, and which rows are bad and why.
//
// Integers become their 64-bit two's complement, strings StringKey(text, table seed), a missing id
// or group MissingKey(table seed). A row is bad if: its label is not 0 or 1 (with `positive_from`:
// NaN); its weight is not a finite number of at least 0; a list holds a null item; lists that go in
// step differ in length; a number is NaN, infinite, beyond float (after its transform or its
// scaling), or missing without a substitute; or one to be bucketized is NaN or infinite. Bad rows
// keep their place with some value; the reader leaves them out.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/block.h"
#include "worker/input.h"
#include "worker/schema.h"

namespace arrow {
class ChunkedArray;
}

namespace trestle {

using ArrowColumn = std::shared_ptr<arrow::ChunkedArray>;

// Bad rows of one block while it is decoded; the first reason of a row stays.
class BadRows {
 public:
  explicit BadRows(int64_t rows) : rows_(rows) {}
  void Add(int64_t row, const std::string& column, std::string reason) {
    Add({static_cast<int32_t>(row), column, std::move(reason)});
  }
  void Add(BadRow row);
  std::vector<BadRow> Take();  // sorted by row

 private:
  int64_t rows_;
  std::vector<bool> seen_;  // allocated at the first
  std::vector<BadRow> bad_;
};

// Columns to read for DecodeBlock, in its order: refused, label, group and weight if any, slots but
// crosses, numeric, slices.
std::vector<std::string> ColumnsToRead(const Schema& schema);

// `columns` as ColumnsToRead has them, their types checked at opening (TypeProblem).
// kInvalidData if a list column has more than 2^31 - 1 items in the block.
Result<Block> DecodeBlock(const Schema& schema, std::span<const uint64_t> table_seeds,
                          std::span<const NumericStatistics> statistics,
                          std::span<const std::vector<double>> bounds, int64_t rows,
                          const std::vector<ArrowColumn>& columns);

// The parts, by kind of column.
//
// Rows that the import refused and kept: file, line, column and reason of each, with tabs between,
// as in reject files; null where the row is good.
void DecodeRefused(const arrow::ChunkedArray& column, BadRows* bad);
BlockKeys DecodeIds(const arrow::ChunkedArray& column, uint64_t seed);
Result<BlockKeys> DecodeSequence(const arrow::ChunkedArray& column, uint64_t seed,
                                 const std::string& name, BadRows* bad);
// Integers in decimal, strings as they are, booleans as "false" and "true", missing cells as
// kMissingText.
BlockTexts DecodeTexts(const arrow::ChunkedArray& column);
// Keys are the numbers of buckets, or the missing key.
BlockKeys DecodeBuckets(const arrow::ChunkedArray& column, std::span<const double> bounds,
                        uint64_t seed, const std::string& name, BadRows* bad);
std::vector<float> DecodeLabels(const arrow::ChunkedArray& column, const std::string& name,
                                std::optional<double> positive_from, BadRows* bad);
// How much each row's loss counts: the value of the schema's column, times `positive_weight` where
// the label is 1. `column` null: 1.
std::vector<float> DecodeWeights(const arrow::ChunkedArray* column, const Schema& schema,
                                 const std::vector<float>& labels, BadRows* bad);
// Writes column `index` of the row-major [rows, width] block.
void DecodeNumeric(const arrow::ChunkedArray& column, const NumericColumn& spec,
                   const NumericStatistics& statistics, size_t index, size_t width,
                   std::vector<float>* block, BadRows* bad);
// Statistics of the cells after the transform; only of those that fit a float.
NumericStatistics ColumnStatistics(const arrow::ChunkedArray& column, const NumericColumn& spec);
// Appends the finite cells of rows that are taken.
void AppendFinite(const arrow::ChunkedArray& column, const std::function<bool(int64_t)>& take,
                  std::vector<double>* cells);

}  // namespace trestle
