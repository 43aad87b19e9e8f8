// A clock that a test sets. Thread safety: safe. SleepFor moves it on at once.
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace trestle {

class FakeClock final : public Clock {
 public:
  Duration Now() const override { return Duration(now_.load()); }
  void SleepFor(Duration duration) const override { now_ += duration.count(); }
  void Advance(double seconds) {
    SleepFor(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)));
  }

 private:
  mutable std::atomic<Duration::rep> now_{0};
};

}  // namespace trestle
