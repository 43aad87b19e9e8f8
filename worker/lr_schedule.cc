#include "worker/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace trestle {
namespace {

constexpr float kDefaultStepFactor = 0.1f;
constexpr float kDefaultExponentialFactor = 0.9f;
constexpr float kDefaultEpochFactor = 0.5f;

double CosineFactor(const LrSchedule::Cosine& cosine, int64_t done, int64_t steps) {
  if (done == 0) return 1.0;  // also of a run that is over before its warm-up
  const double floor = cosine.floor();
  if (done >= steps) return floor;
  const double angle = std::numbers::pi * static_cast<double>(done) / static_cast<double>(steps);
  return floor + (1.0 - floor) * (1.0 + std::cos(angle)) / 2.0;
}

// `done`: steps since the warm-up ended.
double DecayFactor(const LrSchedule& schedule, const SchedulePosition& at, int64_t done) {
  switch (schedule.kind_case()) {
    case LrSchedule::kStep: {
      const auto& s = schedule.step();
      const double factor = s.has_factor() ? s.factor() : kDefaultStepFactor;
      return std::pow(factor, static_cast<double>(done / s.every_steps()));
    }
    case LrSchedule::kCosine: {
      const auto& c = schedule.cosine();
      const int64_t end = c.has_steps() ? c.steps() : at.run_steps;
      return CosineFactor(c, done, end - schedule.warmup_steps());
    }
    case LrSchedule::kExponential: {
      const auto& e = schedule.exponential();
      const double factor = e.has_factor() ? e.factor() : kDefaultExponentialFactor;
      return std::pow(factor, static_cast<double>(done) / static_cast<double>(e.decay_steps()));
    }
    case LrSchedule::kEpoch: {
      const auto& e = schedule.epoch();
      const double factor = e.has_factor() ? e.factor() : kDefaultEpochFactor;
      return std::pow(factor, static_cast<double>(at.epoch));
    }
    case LrSchedule::KIND_NOT_SET:
      return 1.0;
  }
  return 1.0;
}

}  // namespace

float LrFactor(const LrSchedule& schedule, const SchedulePosition& at) {
  const int64_t warmup = schedule.warmup_steps();
  const double grown =
      at.step < warmup ? static_cast<double>(at.step) / static_cast<double>(warmup) : 1.0;
  const int64_t done = std::max<int64_t>(at.step - 1 - warmup, 0);
  return static_cast<float>(grown * DecayFactor(schedule, at, done));
}

}  // namespace trestle
