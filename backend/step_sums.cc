#include "backend/step_sums.h"

#include <glog/logging.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <sstream>

namespace trestle {
namespace {

constexpr uint32_t kAbsentBits =
    0x7FD1CE00u;  // a quiet NaN; arithmetic yields 0x7FC00000 or its negative

// Integers wrap on purpose: partial sums may leave the range and come back.
inline int64_t WrappingAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
inline int64_t WrappingSubtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

// Adds terms to sums and says whether all of them were terms: one pass, without branches.
bool AddTerms(FixedUnit unit, std::span<const float> terms, int64_t* sums) {
  uint64_t excess = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    const int64_t fixed = unit.ToFixed(terms[i]);
    excess |= FixedUnit::ExcessBits(fixed);
    sums[i] = WrappingAdd(sums[i], fixed);
  }
  return excess == 0;
}

// Takes back what AddTerms added.
void SubtractTerms(FixedUnit unit, std::span<const float> terms, int64_t* sums) {
  for (size_t i = 0; i < terms.size(); ++i) {
    sums[i] = WrappingSubtract(sums[i], unit.ToFixed(terms[i]));
  }
}

// "gradient of mlp.0.weight: 4096 is beyond the limit of 2048", "...: NaN" whatever the NaN's sign.
std::string Described(FixedUnit unit, const std::string& what, float value) {
  if (std::isnan(value)) return what + ": NaN";
  std::ostringstream text;
  text << what << ": " << value << " is beyond the limit of "
       << std::ldexp(1.0, 51 - unit.fraction_bits());
  return text.str();
}

}  // namespace

float AbsentStatistic() { return std::bit_cast<float>(kAbsentBits); }
bool IsAbsentStatistic(float value) { return std::bit_cast<uint32_t>(value) == kAbsentBits; }

StepSums::StepSums(const ParameterSet* parameters, const StatisticSet* statistics, FixedUnit unit)
    : parameters_(parameters), statistics_(statistics), unit_(unit) {
  statistics_begin_ = parameters->size();
  counts_begin_ = statistics_begin_ + statistics->size();
  loss_ = counts_begin_ + statistics->slices().size();
  rows_ = loss_ + 1;
  bad_ = rows_ + 1;
  values_.assign(bad_ + 1, 0);
}

void StepSums::Clear() { std::fill(values_.begin(), values_.end(), 0); }

std::string StepSums::AddLane(int64_t rows, float loss, std::span<const float> gradients,
                              std::span<const float> statistics) {
  const bool good_gradients = AddTerms(unit_, gradients, values_.data());
  if (!good_gradients || !FirstBad(loss, {}, statistics).empty()) {
    SubtractTerms(unit_, gradients, values_.data());
    ++values_[bad_];
    return FirstBad(loss, gradients, statistics);
  }
  if (!statistics.empty()) {
    for (size_t k = 0; k < statistics_->slices().size(); ++k) {
      const FlatSlice& slice = statistics_->slices()[k];
      const auto lane = statistics.subspan(slice.offset, slice.size());
      if (IsAbsentStatistic(lane.front())) continue;
      AddTerms(unit_, lane, &values_[statistics_begin_ + slice.offset]);
      ++values_[counts_begin_ + k];
    }
  }
  values_[loss_] = WrappingAdd(values_[loss_], unit_.ToFixed(loss));
  values_[rows_] += rows;
  return {};
}

std::string StepSums::FirstBad(float loss, std::span<const float> gradients,
                               std::span<const float> statistics) const {
  if (!unit_.IsTerm(loss)) return Described(unit_, "sum of a lane's losses", loss);
  for (const FlatSlice& slice : parameters_->slices()) {
    if (gradients.empty()) break;
    for (float x : gradients.subspan(slice.offset, slice.size())) {
      if (!unit_.IsTerm(x)) return Described(unit_, "gradient of " + slice.name, x);
    }
  }
  for (const FlatSlice& slice : statistics_->slices()) {
    if (statistics.empty()) break;
    for (float x : statistics.subspan(slice.offset, slice.size())) {
      if (IsAbsentStatistic(x)) break;
      if (!unit_.IsTerm(x)) return Described(unit_, "statistic " + slice.name, x);
    }
  }
  return {};
}

void StepSums::Merge(StepSums* other) {
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i] = WrappingAdd(values_[i], other->values_[i]);
  }
  other->Clear();
}

void StepSums::MeanGradient(std::span<float> gradient) const {
  CHECK_GT(rows(), 0);
  const double count = static_cast<double>(rows());
  for (size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = static_cast<float>(unit_.ToDouble(values_[i]) / count);
  }
}

void StepSums::UpdateStatistics(StatisticSet* statistics) const {
  for (size_t k = 0; k < statistics->slices().size(); ++k) {
    const int64_t lanes = values_[counts_begin_ + k];
    if (lanes == 0) continue;
    const FlatSlice& slice = statistics->slices()[k];
    const double rho = statistics->rho(StatisticId{static_cast<int>(k)});
    for (int64_t i = slice.offset; i < slice.offset + slice.size(); ++i) {
      const double mean =
          unit_.ToDouble(values_[statistics_begin_ + i]) / static_cast<double>(lanes);
      float& running = statistics->values()[i];
      running = static_cast<float>((1.0 - rho) * running + rho * mean);
    }
  }
}

}  // namespace trestle
