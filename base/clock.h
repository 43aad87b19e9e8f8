// Time as an interface, so that tests own it. Results never depend on it; deadlines and reports do.
#pragma once

#include <chrono>

namespace trestle {

class Clock {
 public:
  using Duration = std::chrono::nanoseconds;
  virtual ~Clock() = default;
  // Monotonic, from an arbitrary start.
  virtual Duration Now() const = 0;
  virtual void SleepFor(Duration duration) const = 0;

  static const Clock& System();
};

inline double Seconds(Clock::Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace trestle
