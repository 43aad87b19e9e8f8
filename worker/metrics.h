// Metrics of predictions, by their published definitions; equal at any number of ranks and threads.
//
// AUC: ascending ranks, ties share their mean rank. GAUC: mean of the groups' AUCs weighted by the
// groups' rows, over groups with both labels (DIN paper, eq. 10). Log loss: mean, natural log. NE:
// log loss over the entropy of the evaluated set's own rate. PCOC: sum of predictions over sum of
// labels. AUC and GAUC are exact up to `exact_rows` rows over all ranks, computed on the lowest
// member of the stream from everybody's rows (13 bytes each). Beyond, AUC comes from a histogram of
// 2^20 bins over the ordered bits of the logits with half a point for each pair inside a bin, its
// error bound is half the share of such pairs, and GAUC is absent.
//
// Ranks are counted and losses summed in integers, so the order of rows and their partition over
// ranks do not matter. A row's loss counts at most 2,047.
//
// Thread safety: an accumulator belongs to one thread.
// Errors: kNumeric on all members if any logit was NaN or infinite.
// Source: MODELS, section 1.9 (docs/models.md).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fixed_point.h"
#include "comm/communicator.h"

namespace trestle {

inline constexpr int64_t kMostExactRows = 50'000'000;

struct Metrics {
  int64_t rows = 0;
  int64_t positives = 0;
  double auc = 0;              // NaN without both labels
  double auc_error = 0;        // bound; 0 when exact
  std::optional<double> gauc;  // absent without groups
  int64_t gauc_rows = 0;       // rows of groups with both labels
  double log_loss = 0;
  double normalized_entropy = 0;
  double pcoc = 0;  // predicted over observed clicks
};

// AUC of logits against labels of 0 and 1, exact. NaN when only one label occurs. No NaN among
// logits.
double ExactAuc(std::span<const float> logits, std::span<const float> labels);

class MetricsAccumulator {
 public:
  explicit MetricsAccumulator(bool grouped, int64_t exact_rows = kMostExactRows);
  // groups may be empty unless grouped.
  void Add(std::span<const float> logits, std::span<const float> labels,
           std::span<const uint64_t> groups);
  // Over all members of the stream, the same on each of them. Collective.
  Result<Metrics> Compute(Communicator& comm, Stream stream) const;

 private:
  void KeepExact(std::span<const float> logits, std::span<const float> labels,
                 std::span<const uint64_t> groups);
  // Moves the exact rows into the histogram and forgets them.
  void LeaveExact();
  std::vector<int64_t> LocalHistogram() const;

  bool grouped_;
  int64_t exact_rows_;
  bool exact_ = true;
  std::vector<float> logits_;
  std::vector<uint8_t> labels_;
  std::vector<uint64_t> groups_;
  std::vector<int64_t> histogram_;  // [2, bins], once beyond exact_rows
  int64_t rows_ = 0;
  int64_t positives_ = 0;
  int64_t not_finite_ = 0;
  EpochSum log_loss_;
  EpochSum predicted_;
};

}  // namespace trestle
