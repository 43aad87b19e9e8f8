#include "worker/slice_metrics.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "worker/metrics_auc.h"
#include "worker/metrics_terms.h"
#include "worker/slices.pb.h"

namespace trestle {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kAucKeyBits = 33;
static_assert(kMaxSlices < uint64_t{1} << (64 - kAucKeyBits));

__extension__ typedef unsigned __int128 Bits128;

uint64_t Low(const EpochSum& sum) { return static_cast<uint64_t>(sum.units); }
uint64_t High(const EpochSum& sum) {
  return static_cast<uint64_t>(static_cast<Bits128>(sum.units) >> 64);
}
EpochSum SumOf(uint64_t low, uint64_t high) {
  return {static_cast<EpochSum::Int128>((Bits128{high} << 64) | low)};
}

std::string Serialize(const SlicePart& part) {
  std::string bytes;
  CHECK(part.SerializeToString(&bytes)) << "bounded by kMaxSliceValues and kMaxSliceText";
  return bytes;
}

SlicePart Parse(const std::string& bytes) {
  SlicePart part;
  CHECK(part.ParseFromString(bytes));
  return part;
}

}  // namespace

void SliceAccumulator::Sums::Add(const Sums& other) {
  rows += other.rows;
  positives += other.positives;
  log_loss.Add(other.log_loss);
  predicted.Add(other.predicted);
}

SliceAccumulator::SliceAccumulator(std::vector<std::string> columns, int64_t exact_rows)
    : exact_rows_(exact_rows), columns_(columns.size()) {
  for (size_t c = 0; c < columns.size(); ++c) columns_[c].name = std::move(columns[c]);
}

void SliceAccumulator::Add(std::span<const float> logits, std::span<const float> labels,
                           const std::vector<std::vector<std::string>>& values) {
  CHECK_EQ(values.size(), columns_.size());
  if (columns_.empty()) return;
  const FixedUnit unit;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isfinite(logits[i])) continue;  // there will be no metrics
    const bool positive = labels[i] != 0;
    const auto z = static_cast<double>(logits[i]);
    Sums row{1, positive, {}, {}};
    row.log_loss.Add(unit.ToFixed(LogLoss(z, positive)));
    row.predicted.Add(unit.ToFixed(Probability(z)));
    ++rows_;
    if (exact_) keys_.push_back(AucKey(logits[i], positive));
    for (size_t c = 0; c < columns_.size(); ++c) {
      Column& column = columns_[c];
      if (column.too_many) continue;
      if (values[c][i].size() > kMaxSliceText) {
        column = {column.name, true, {}, {}, {}};
        continue;
      }
      const auto code = static_cast<uint32_t>(column.sums.size());
      const auto [entry, fresh] = column.codes.try_emplace(values[c][i], code);
      if (fresh) column.sums.emplace_back();
      column.sums[entry->second].Add(row);
      if (exact_) column.of_rows.push_back(entry->second);
      if (column.codes.size() > kMaxSliceValues) column = {column.name, true, {}, {}, {}};
    }
  }
  if (rows_ <= exact_rows_) return;
  exact_ = false;
  std::vector<uint64_t>().swap(keys_);
  for (Column& column : columns_) std::vector<uint32_t>().swap(column.of_rows);
}

Result<SliceAccumulator::Members> SliceAccumulator::Meet(Communicator& comm, Operation op) const {
  TRESTLE_ASSIGN_OR_RETURN(const auto rows, comm.AllGather(op, std::to_string(rows_)));
  Members members;
  int64_t sum = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].empty()) continue;
    if (members.lowest.value < 0) members.lowest = Rank{static_cast<int>(r)};
    sum += std::stoll(rows[r]);
  }
  members.exact = sum <= exact_rows_;
  return members;
}

std::string SliceAccumulator::PartOf(const Column& column) {
  SlicePart part;
  part.set_too_many(column.too_many);
  for (const auto& [value, code] : column.codes) {
    const Sums& sums = column.sums[code];
    SliceSums* const slice = part.add_slices();
    slice->set_value(value);
    slice->set_rows(sums.rows);
    slice->set_positives(sums.positives);
    slice->set_log_loss_low(Low(sums.log_loss));
    slice->set_log_loss_high(High(sums.log_loss));
    slice->set_predicted_low(Low(sums.predicted));
    slice->set_predicted_high(High(sums.predicted));
  }
  return Serialize(part);
}

// `told`: the values of the slices, for the ranks.
SlicedColumn SliceAccumulator::Merge(const std::vector<std::string>& parts, std::string* told) {
  SlicedColumn result;
  std::map<std::string, Sums> merged;
  for (const std::string& bytes : parts) {
    const SlicePart part = Parse(bytes);
    result.too_many = result.too_many || part.too_many();
    for (const SliceSums& s : part.slices()) {
      merged[s.value()].Add({s.rows(), s.positives(), SumOf(s.log_loss_low(), s.log_loss_high()),
                             SumOf(s.predicted_low(), s.predicted_high())});
    }
  }
  result.too_many = result.too_many || merged.size() > kMaxSliceValues;
  if (result.too_many) return result;
  std::vector<std::pair<std::string, Sums>> order(merged.begin(), merged.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second.rows > b.second.rows; });
  SlicePart chosen;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto& [value, sums] = order[i];
    if (i >= kMaxSlices) {
      ++result.other_values;
      result.other_rows += sums.rows;
      continue;
    }
    chosen.add_slices()->set_value(value);
    const double log_loss = sums.log_loss.ToDouble(FixedUnit()) / static_cast<double>(sums.rows);
    const double pcoc =
        sums.positives ? sums.predicted.ToDouble(FixedUnit()) / static_cast<double>(sums.positives)
                       : kNaN;
    result.slices.push_back({value, sums.rows, sums.positives, kNaN, log_loss, pcoc});
  }
  *told = Serialize(chosen);
  return result;
}

// Of the rows in slices that are told: the slice's index, then the AucKey.
std::vector<uint64_t> SliceAccumulator::KeysOf(const Column& column,
                                               const std::string& told) const {
  constexpr uint64_t kNone = kMaxSlices;
  std::vector<uint64_t> slice_of(column.sums.size(), kNone);
  const SlicePart chosen = Parse(told);
  for (int i = 0; i < chosen.slices_size(); ++i) {
    const auto code = column.codes.find(chosen.slices(i).value());
    if (code != column.codes.end()) slice_of[code->second] = static_cast<uint64_t>(i);
  }
  std::vector<uint64_t> keys;
  for (size_t i = 0; i < column.of_rows.size(); ++i) {
    const uint64_t slice = slice_of[column.of_rows[i]];
    if (slice != kNone) keys.push_back(slice << kAucKeyBits | keys_[i]);
  }
  return keys;
}

// The rows of all members meet on the lowest.
Status SliceAccumulator::AddAuc(Communicator& comm, Operation op, const Members& members,
                                const Column& column, const std::string& told,
                                SlicedColumn* result) const {
  const std::vector<uint64_t> mine = KeysOf(column, told);
  TRESTLE_ASSIGN_OR_RETURN(const auto counts,
                           AllGatherValue(comm, op, static_cast<int64_t>(mine.size())));
  const bool root = comm.rank() == members.lowest;
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  std::vector<uint64_t> keys(root ? static_cast<size_t>(total) : 0);
  std::vector<ConstBuffer> send(counts.size());
  std::vector<MutableBuffer> recv(counts.size());
  send[static_cast<size_t>(members.lowest.value)] = {mine.data(), mine.size() * sizeof(uint64_t)};
  size_t at = 0;
  for (size_t r = 0; root && r < counts.size(); ++r) {
    recv[r] = {keys.data() + at, static_cast<size_t>(counts[r]) * sizeof(uint64_t)};
    at += static_cast<size_t>(counts[r]);
  }
  TRESTLE_RETURN_IF_ERROR(comm.AllToAll(op, send, recv));
  std::sort(keys.begin(), keys.end());
  for (auto begin = keys.begin(); begin != keys.end();) {
    const uint64_t slice = *begin >> kAucKeyBits;
    const auto end = std::lower_bound(begin, keys.end(), (slice + 1) << kAucKeyBits);
    result->slices[slice].auc = CountPairs({begin, end}).Auc();
    begin = end;
  }
  return {};
}

Result<std::vector<SlicedColumn>> SliceAccumulator::Compute(Communicator& comm,
                                                            Stream stream) const {
  std::vector<SlicedColumn> results;
  if (columns_.empty()) return results;
  const Operation op{stream, "slices", -1, kLongPhase};  // the lowest sorts all rows
  TRESTLE_ASSIGN_OR_RETURN(const Members members, Meet(comm, op));
  const bool root = comm.rank() == members.lowest;
  for (const Column& column : columns_) {
    TRESTLE_ASSIGN_OR_RETURN(const auto parts, comm.Gather(op, PartOf(column), members.lowest));
    SlicedColumn result;
    std::string told;
    if (root) result = Merge(parts, &told);
    result.column = column.name;
    TRESTLE_ASSIGN_OR_RETURN(const auto all, comm.AllGather(op, told));
    told = all[static_cast<size_t>(members.lowest.value)];
    if (members.exact && !told.empty()) {
      TRESTLE_RETURN_IF_ERROR(AddAuc(comm, op, members, column, told, &result));
    }
    if (root) results.push_back(std::move(result));
  }
  return results;
}

}  // namespace trestle
