// RequestRanks: the place of each row among those of its request, 1 for the highest score; of equal
// scores the earlier row comes first.
//
// Rows of a request need not stand together, so all are kept: 24 bytes a row, and 4 more for its
// rank.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <vector>

namespace trestle {

class RequestRanks {
 public:
  // The next row; `score` is a number. `request` tells requests apart.
  void Add(uint64_t request, double score);
  // The next row, which has no rank.
  void AddNone() { ++rows_; }
  // A rank a row, 0 for none. Once.
  std::vector<int32_t> Take();

 private:
  struct Row {
    uint64_t request;
    double score;
    int64_t row;
  };
  std::vector<Row> ranked_;
  int64_t rows_ = 0;
};

}  // namespace trestle
