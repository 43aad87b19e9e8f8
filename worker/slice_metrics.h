// Metrics for each value of a column, as in `eval.slices: "age_level"`: the same definitions as
// those of the whole set (metrics.h), over the rows that have the value; equal at any number of
// ranks and threads.
//
// Bounds: of a column the kMaxSlices values with the most rows are told, equal ones in the order of
// their bytes; the others are counted together. A column of more than kMaxSliceValues values (an id
// of users), or with a text above kMaxSliceText bytes, is not sliced at all. Beyond `exact_rows`
// rows of the set, over all ranks, slices have no AUC. All three depend on the data alone. A rank
// holds 8 bytes a row, and 4 a row and column; the lowest member also 8 for each row of all ranks,
// one column after the other.
//
// Thread safety: an accumulator belongs to one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fixed_point.h"
#include "comm/communicator.h"
#include "worker/metrics.h"

namespace trestle {

inline constexpr size_t kMaxSlices = 1'000;
inline constexpr size_t kMaxSliceValues = 65'536;
inline constexpr size_t kMaxSliceText = 256;  // bytes

struct Slice {
  std::string value;  // the cell's text; kMissingText
  int64_t rows = 0;
  int64_t positives = 0;
  double auc = 0;  // NaN without both labels, and beyond exact_rows
  double log_loss = 0;
  double pcoc = 0;  // predicted over observed clicks; NaN without any
};

struct SlicedColumn {
  std::string column;
  bool too_many = false;      // or too long values: no slices
  std::vector<Slice> slices;  // the most rows first
  int64_t other_values = 0;   // that are not among the slices
  int64_t other_rows = 0;     // theirs
};

class SliceAccumulator {
 public:
  explicit SliceAccumulator(std::vector<std::string> columns, int64_t exact_rows = kMostExactRows);
  // values[column][row]: the cells' texts.
  void Add(std::span<const float> logits, std::span<const float> labels,
           const std::vector<std::vector<std::string>>& values);
  // Over all members of the stream. The lowest member's; on others the result is empty. All logits
  // are finite (MetricsAccumulator::Compute tells). Collective.
  Result<std::vector<SlicedColumn>> Compute(Communicator& comm, Stream stream) const;

 private:
  // Of a value on this rank.
  struct Sums {
    int64_t rows = 0;
    int64_t positives = 0;
    EpochSum log_loss;
    EpochSum predicted;
    void Add(const Sums& other);
  };
  struct Column {
    std::string name;
    bool too_many = false;  // then there is nothing else
    std::unordered_map<std::string, uint32_t> codes;
    std::vector<Sums> sums;         // a code each
    std::vector<uint32_t> of_rows;  // the rows' codes; while exact
  };
  struct Members {
    Rank lowest{-1};
    bool exact = true;
  };

  Result<Members> Meet(Communicator& comm, Operation op) const;
  static std::string PartOf(const Column& column);
  static SlicedColumn Merge(const std::vector<std::string>& parts, std::string* told);
  Status AddAuc(Communicator& comm, Operation op, const Members& members, const Column& column,
                const std::string& told, SlicedColumn* result) const;
  std::vector<uint64_t> KeysOf(const Column& column, const std::string& told) const;

  const int64_t exact_rows_;
  std::vector<Column> columns_;
  std::vector<uint64_t> keys_;  // AucKey of each row, while exact
  int64_t rows_ = 0;
  bool exact_ = true;
};

}  // namespace trestle
