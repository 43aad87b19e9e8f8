// Block: one Parquet row group or Arrow record batch, decoded into plain columns in the file's
// order. It is what lanes gather their rows from; behind it no code knows Arrow's types or a
// column's width.
//
// Thread safety: immutable once decoded. Ownership: `keep` holds the Arrow buffers that `keys` may
// point into (a column of 64-bit integers without nulls is not copied).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace trestle {

// Keys of an id column (one a row, offsets null) or of a sequence (row b: [offsets[b],
// offsets[b+1])).
struct BlockKeys {
  const uint64_t* keys = nullptr;
  const int32_t* offsets = nullptr;
  std::vector<uint64_t> own_keys;
  std::vector<int32_t> own_offsets;
  std::vector<std::shared_ptr<const void>> keep;
};

// The cells of a column as texts, each distinct one held once.
struct BlockTexts {
  std::vector<std::string> values;
  std::vector<int32_t> of_row;  // index into values
};

// Why a row is rejected: the first column, in the order label, group, weight, slots, numeric, that
// refuses it.
struct BadRow {
  int32_t row = 0;  // in the block
  std::string column;
  std::string reason;
  // The file and line that it was imported from, where the import refused it.
  std::string text_file = {};
  int64_t text_line = 0;  // 0: it was not
};

struct Block {
  int64_t rows = 0;
  std::vector<BlockKeys> slots;  // per Schema::slots, keep_last not applied yet
  std::vector<float> numeric;    // [rows, width], transformed and scaled
  std::vector<float> labels;
  std::vector<float> weights;      // [rows] of the losses; empty: all 1
  BlockKeys group;                 // keys null: no group column
  std::vector<BlockTexts> slices;  // per Schema::slices
  std::vector<BadRow> bad_rows;    // ascending rows, one entry a row
};

}  // namespace trestle
