#include "worker/metrics.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "worker/metrics_auc.h"
#include "worker/metrics_terms.h"

namespace trestle {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// What every member tells all others.
struct Totals {
  int64_t rows = 0;
  int64_t positives = 0;
  int64_t not_finite = 0;
  EpochSum log_loss;
  EpochSum predicted;

  void Add(const Totals& other) {
    rows += other.rows;
    positives += other.positives;
    not_finite += other.not_finite;
    log_loss.Add(other.log_loss);
    predicted.Add(other.predicted);
  }
};
static_assert(std::is_trivially_copyable_v<Totals>);

struct Members {
  std::vector<Totals> totals;  // by rank; zeros for ranks that are not members
  Rank lowest{-1};
  int count = 0;
  Totals sum;
};

Result<Members> Exchange(Communicator& comm, Operation op, const Totals& own) {
  const std::string bytes(reinterpret_cast<const char*>(&own), sizeof(own));
  TRESTLE_ASSIGN_OR_RETURN(const auto texts, comm.AllGather(op, bytes));
  Members members;
  members.totals.resize(texts.size());
  for (size_t r = 0; r < texts.size(); ++r) {
    if (texts[r].empty()) continue;
    CHECK_EQ(texts[r].size(), sizeof(Totals));
    std::memcpy(static_cast<void*>(&members.totals[r]), texts[r].data(), sizeof(Totals));
    if (members.count++ == 0) members.lowest = Rank{static_cast<int>(r)};
    members.sum.Add(members.totals[r]);
  }
  return members;
}

Metrics MetricsOf(const Totals& sum) {
  Metrics metrics;
  metrics.rows = sum.rows;
  metrics.positives = sum.positives;
  metrics.auc = kNaN;
  const auto rows = static_cast<double>(sum.rows), positives = static_cast<double>(sum.positives);
  const double q = positives / rows;
  const bool both = sum.positives > 0 && sum.positives < sum.rows;
  metrics.log_loss = sum.rows ? sum.log_loss.ToDouble(FixedUnit()) / rows : kNaN;
  metrics.normalized_entropy =
      both ? metrics.log_loss / -(q * std::log(q) + (1 - q) * std::log1p(-q)) : kNaN;
  metrics.pcoc = sum.positives ? sum.predicted.ToDouble(FixedUnit()) / positives : kNaN;
  return metrics;
}

// `values` of all members on the root, in the order of ranks; elsewhere empty.
template <class T>
Result<std::vector<T>> GatherValues(Communicator& comm, Operation op, const Members& members,
                                    const std::vector<T>& values) {
  const auto ranks = static_cast<size_t>(comm.size());
  const auto root = static_cast<size_t>(members.lowest.value);
  const bool is_root = comm.rank() == members.lowest;
  std::vector<ConstBuffer> send(ranks);
  std::vector<MutableBuffer> recv(ranks);
  send[root] = {values.data(), values.size() * sizeof(T)};
  std::vector<T> all(is_root ? static_cast<size_t>(members.sum.rows) : 0);
  size_t at = 0;
  for (size_t r = 0; is_root && r < ranks; ++r) {
    const auto count = static_cast<size_t>(members.totals[r].rows);
    recv[r] = {all.data() + at, count * sizeof(T)};
    at += count;
  }
  TRESTLE_RETURN_IF_ERROR(comm.AllToAll(op, send, recv));
  return all;
}

struct ExactResult {
  double auc = 0;
  double gauc = 0;
  int64_t gauc_rows = 0;
};

ExactResult ComputeExact(const std::vector<float>& logits, const std::vector<uint8_t>& labels,
                         const std::vector<uint64_t>& groups, bool grouped) {
  std::vector<uint64_t> keys(logits.size());
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = AucKey(logits[i], labels[i] != 0);
  ExactResult result;
  if (grouped) {
    const GroupAuc by_group = ComputeGroupAuc(keys, groups);
    result.gauc = by_group.gauc;
    result.gauc_rows = by_group.rows;
  }
  result.auc = SortAndCountPairs(&keys).Auc();
  return result;
}

void AddToHistogram(std::span<const float> logits, std::span<const uint8_t> labels,
                    std::vector<int64_t>* histogram) {
  for (size_t i = 0; i < logits.size(); ++i) {
    ++(*histogram)[static_cast<size_t>(AucBin(logits[i])) + (labels[i] ? size_t{kAucBins} : 0)];
  }
}

}  // namespace

double ExactAuc(std::span<const float> logits, std::span<const float> labels) {
  CHECK_EQ(logits.size(), labels.size());
  std::vector<uint64_t> keys(logits.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    CHECK(!std::isnan(logits[i])) << "logit " << i << " is NaN";
    keys[i] = AucKey(logits[i], labels[i] != 0);
  }
  return SortAndCountPairs(&keys).Auc();
}

MetricsAccumulator::MetricsAccumulator(bool grouped, int64_t exact_rows)
    : grouped_(grouped), exact_rows_(exact_rows) {}

void MetricsAccumulator::Add(std::span<const float> logits, std::span<const float> labels,
                             std::span<const uint64_t> groups) {
  CHECK_EQ(logits.size(), labels.size());
  if (grouped_) CHECK_EQ(groups.size(), logits.size());
  const FixedUnit unit;
  for (size_t i = 0; i < logits.size(); ++i) {
    const bool positive = labels[i] != 0;
    positives_ += positive;
    if (!std::isfinite(logits[i])) {
      ++not_finite_;
      continue;
    }
    const auto z = static_cast<double>(logits[i]);
    log_loss_.Add(unit.ToFixed(LogLoss(z, positive)));
    predicted_.Add(unit.ToFixed(Probability(z)));
  }
  rows_ += static_cast<int64_t>(logits.size());
  if (not_finite_ > 0) return;  // there will be no AUC
  KeepExact(logits, labels, groups);
  if (!exact_ || rows_ > exact_rows_) LeaveExact();
}

void MetricsAccumulator::KeepExact(std::span<const float> logits, std::span<const float> labels,
                                   std::span<const uint64_t> groups) {
  logits_.insert(logits_.end(), logits.begin(), logits.end());
  for (const float label : labels) labels_.push_back(label != 0);
  if (grouped_ && exact_) groups_.insert(groups_.end(), groups.begin(), groups.end());
}

void MetricsAccumulator::LeaveExact() {
  if (exact_) histogram_.assign(2 * size_t{kAucBins}, 0);
  AddToHistogram(logits_, labels_, &histogram_);
  logits_.clear();
  labels_.clear();
  if (!exact_) return;
  exact_ = false;
  logits_.shrink_to_fit();
  labels_.shrink_to_fit();
  std::vector<uint64_t>().swap(groups_);
}

std::vector<int64_t> MetricsAccumulator::LocalHistogram() const {
  std::vector<int64_t> histogram = histogram_;
  histogram.resize(2 * size_t{kAucBins});
  AddToHistogram(logits_, labels_, &histogram);
  return histogram;
}

Result<Metrics> MetricsAccumulator::Compute(Communicator& comm, Stream stream) const {
  const Operation op{stream, "metrics", -1, kLongPhase};  // the lowest sorts all rows
  TRESTLE_ASSIGN_OR_RETURN(
      const Members members,
      Exchange(comm, op, {rows_, positives_, not_finite_, log_loss_, predicted_}));
  if (members.sum.not_finite > 0) {
    return Status(StatusCode::kNumeric,
                  std::to_string(members.sum.not_finite) + " of " +
                      std::to_string(members.sum.rows) +
                      " predictions are NaN or infinite; the model diverged: lower the learning "
                      "rates");
  }
  Metrics metrics = MetricsOf(members.sum);
  if (members.sum.rows > exact_rows_) {
    std::vector<int64_t> histogram = LocalHistogram();
    TRESTLE_RETURN_IF_ERROR(comm.AllReduceSum(op, histogram));
    metrics.auc = HistogramAuc(histogram, &metrics.auc_error);
    return metrics;
  }
  ExactResult exact;
  if (members.count == 1) {
    exact = ComputeExact(logits_, labels_, groups_, grouped_);
  } else {
    TRESTLE_ASSIGN_OR_RETURN(const auto logits, GatherValues(comm, op, members, logits_));
    TRESTLE_ASSIGN_OR_RETURN(const auto labels, GatherValues(comm, op, members, labels_));
    std::vector<uint64_t> groups;
    if (grouped_) {
      TRESTLE_ASSIGN_OR_RETURN(groups, GatherValues(comm, op, members, groups_));
    }
    if (comm.rank() == members.lowest) exact = ComputeExact(logits, labels, groups, grouped_);
    TRESTLE_RETURN_IF_ERROR(comm.Broadcast(op, {&exact, sizeof(exact)}, members.lowest));
  }
  metrics.auc = exact.auc;
  if (grouped_) metrics.gauc = exact.gauc;
  metrics.gauc_rows = exact.gauc_rows;
  return metrics;
}

}  // namespace trestle
