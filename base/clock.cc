#include "base/clock.h"

#include <thread>

namespace trestle {
namespace {

class SystemClock final : public Clock {
 public:
  Duration Now() const override { return std::chrono::steady_clock::now().time_since_epoch(); }
  void SleepFor(Duration duration) const override { std::this_thread::sleep_for(duration); }
};

}  // namespace

const Clock& Clock::System() {
  static const SystemClock clock;
  return clock;
}

}  // namespace trestle
