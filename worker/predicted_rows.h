// PredictedRows: what the network says of consecutive rows of the input, also of rows that were
// rejected. Workers send them to the one that writes them.
//
// Thread safety: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trestle {

struct PredictedRows {
  // A list of numbers a row.
  struct Lists {
    std::vector<int32_t> lengths;
    std::vector<float> values;
  };
  std::vector<uint8_t> accepted;               // [rows]; what follows is of the accepted ones alone
  std::vector<float> logits;                   // a number each
  std::vector<Lists> attention;                // per ModelOutputSpec
  std::vector<std::vector<float>> embeddings;  // likewise, [accepted rows, dim]

  size_t rows() const { return accepted.size(); }
};

// For the same program on another rank.
std::string ToBytes(const PredictedRows& rows);
// Puts the rows behind those of `rows`, whose lists are as many.
void AppendBytes(std::string_view bytes, PredictedRows* rows);

}  // namespace trestle
