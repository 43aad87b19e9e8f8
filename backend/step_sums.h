// StepSums: what one thread has summed over its lanes of a step, as 64-bit fixed-point values, so
// that sums of lanes, threads and workers may be added in any order and give the same bits.
//
// Layout of values():
//   [gradient of each parameter][each lane statistic][lanes that had it, one a statistic slice]
//   [loss][rows][bad lanes]
// Counts and rows are plain integers. A statistic has a count of its own since a lane with rows may
// lack one: the activation unit of a lane in which nobody has a history.
//
// Thread safety: none; one a thread, merged by one thread between lanes and the all-reduce.
// Device: host.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/parameters.h"
#include "base/fixed_point.h"

namespace trestle {

// Marks a statistic that a lane did not produce: a NaN that no arithmetic yields.
float AbsentStatistic();
bool IsAbsentStatistic(float value);

class StepSums {
 public:
  // Both sets are complete and outlive this.
  StepSums(const ParameterSet* parameters, const StatisticSet* statistics, FixedUnit unit);

  void Clear();
  // Adds a lane. Gradients and statistics are empty in evaluation. If a term is not finite or out
  // of range, adds only to the bad lanes and returns its name: "gradient of mlp.0.weight: NaN".
  std::string AddLane(int64_t rows, float loss, std::span<const float> gradients,
                      std::span<const float> statistics);
  // Adds the sums of another thread and clears them.
  void Merge(StepSums* other);

  std::span<int64_t> values() { return values_; }
  int64_t rows() const { return values_[rows_]; }
  int64_t bad_lanes() const { return values_[bad_]; }
  double loss() const { return unit_.ToDouble(values_[loss_]); }
  // Mean gradient over the rows of the step. Requires rows() > 0.
  void MeanGradient(std::span<float> gradient) const;
  // Moves running statistics towards the mean over the lanes that had them.
  void UpdateStatistics(StatisticSet* statistics) const;

 private:
  std::string FirstBad(float loss, std::span<const float> gradients,
                       std::span<const float> statistics) const;

  const ParameterSet* parameters_;
  const StatisticSet* statistics_;
  FixedUnit unit_;
  size_t statistics_begin_;
  size_t counts_begin_;
  size_t loss_;
  size_t rows_;
  size_t bad_;
  std::vector<int64_t> values_;
};

}  // namespace trestle
