#include "worker/block_decode.h"

#include <glog/logging.h>

#include <algorithm>

#include "worker/derived_keys.h"

namespace trestle {

void BadRows::Add(BadRow row) {
  if (seen_.empty()) seen_.resize(static_cast<size_t>(rows_));
  if (seen_[static_cast<size_t>(row.row)]) return;
  seen_[static_cast<size_t>(row.row)] = true;
  bad_.push_back(std::move(row));
}

std::vector<BadRow> BadRows::Take() {
  std::sort(bad_.begin(), bad_.end(),
            [](const BadRow& a, const BadRow& b) { return a.row < b.row; });
  return std::move(bad_);
}

std::vector<std::string> ColumnsToRead(const Schema& schema) {
  std::vector<std::string> columns;
  if (!schema.refused.empty()) columns.push_back(schema.refused);
  if (!schema.label.empty()) columns.push_back(schema.label);
  if (!schema.group.empty()) columns.push_back(schema.group);
  if (!schema.weight.empty()) columns.push_back(schema.weight);
  for (const Slot& slot : schema.slots) {
    if (!slot.crossed()) columns.push_back(slot.column);
  }
  for (const NumericColumn& numeric : schema.numeric) columns.push_back(numeric.column);
  columns.insert(columns.end(), schema.slices.begin(), schema.slices.end());
  return columns;
}

namespace {

// Sequences of one group go in step: compares each with the group's first.
void CheckEqualLengths(const Schema& schema, const Block& block, BadRows* bad) {
  for (size_t i = 1; i < schema.slots.size(); ++i) {
    const int group = schema.slots[i].sequence_group;
    size_t first = i;
    while (first > 0 && group >= 0 && schema.slots[first - 1].sequence_group == group) --first;
    if (first == i) continue;
    const int32_t* a = block.slots[first].offsets;
    const int32_t* b = block.slots[i].offsets;
    for (int64_t row = 0; row < block.rows; ++row) {
      const int32_t expected = a[row + 1] - a[row], found = b[row + 1] - b[row];
      if (expected == found) continue;
      const std::string& name = schema.slots[i].column;
      bad->Add(row, name,
               name + " has " + std::to_string(found) + " items, " + schema.slots[first].column +
                   " has " + std::to_string(expected));
    }
  }
}

// After crosses are made, which are of the keys as columns have them.
void BoundTables(const Schema& schema, std::span<const uint64_t> table_seeds, Block* block) {
  for (size_t s = 0; s < schema.slots.size(); ++s) {
    const auto table = static_cast<size_t>(schema.slots[s].table);
    const int64_t buckets = schema.tables[table].hash_buckets;
    if (buckets == 0) continue;
    IntoHashBuckets(block->rows, table_seeds[table], buckets, &block->slots[s]);
  }
}

}  // namespace

Result<Block> DecodeBlock(const Schema& schema, std::span<const uint64_t> table_seeds,
                          std::span<const NumericStatistics> statistics,
                          std::span<const std::vector<double>> bounds, int64_t rows,
                          const std::vector<ArrowColumn>& columns) {
  Block block;
  block.rows = rows;
  BadRows bad(rows);
  size_t next = 0;
  if (!schema.refused.empty()) DecodeRefused(*columns[next++], &bad);
  if (schema.label.empty()) {
    block.labels.resize(static_cast<size_t>(rows));
  } else {
    block.labels = DecodeLabels(*columns[next++], schema.label, schema.positive_from, &bad);
  }
  if (!schema.group.empty()) block.group = DecodeIds(*columns[next++], 0);
  if (schema.weighted()) {
    const arrow::ChunkedArray* const column =
        schema.weight.empty() ? nullptr : columns[next++].get();
    block.weights = DecodeWeights(column, schema, block.labels, &bad);
  }
  for (const Slot& slot : schema.slots) {
    const uint64_t seed = table_seeds[static_cast<size_t>(slot.table)];
    if (slot.crossed()) {
      block.slots.push_back(CrossKeys(slot, block.slots, rows, seed));
      continue;
    }
    const arrow::ChunkedArray& column = *columns[next++];
    if (slot.bucket >= 0) {
      const auto& of_column = bounds[static_cast<size_t>(slot.bucket)];
      block.slots.push_back(DecodeBuckets(column, of_column, seed, slot.column, &bad));
    } else if (slot.sequence_group < 0) {
      block.slots.push_back(DecodeIds(column, seed));
    } else {
      TRESTLE_ASSIGN_OR_RETURN(auto lists, DecodeSequence(column, seed, slot.column, &bad));
      block.slots.push_back(std::move(lists));
    }
  }
  CheckEqualLengths(schema, block, &bad);
  BoundTables(schema, table_seeds, &block);
  const size_t width = schema.numeric.size();
  block.numeric.resize(static_cast<size_t>(rows) * width);
  for (size_t i = 0; i < width; ++i) {
    DecodeNumeric(*columns[next++], schema.numeric[i], statistics[i], i, width, &block.numeric,
                  &bad);
  }
  for (size_t i = 0; i < schema.slices.size(); ++i) {
    block.slices.push_back(DecodeTexts(*columns[next++]));
  }
  CHECK_EQ(next, columns.size());
  block.bad_rows = bad.Take();
  return block;
}

}  // namespace trestle
