// SnapshotMemory: what the snapshots of a rank's tables may hold of memory together: what each
// takes for as long as it lasts (row states, buffers), and before-images. Beyond it a Push waits
// until writers have passed rows that were logged. A Push that needs more than could ever be free
// goes through when no image is held, and is the only thing that takes held() beyond limit().
//
// Thread safety: all methods. A writer never waits here, so a waiting Push gets on as fast as the
// disk does. A step whose pushes wait longer than `patience` together gives the snapshots up, and
// not itself: other ranks wait for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace trestle {

class SnapshotMemory {
 public:
  explicit SnapshotMemory(int64_t limit_bytes,
                          std::chrono::nanoseconds patience = std::chrono::hours(24))
      : limit_(limit_bytes), patience_(patience) {}
  SnapshotMemory(const SnapshotMemory&) = delete;
  SnapshotMemory& operator=(const SnapshotMemory&) = delete;

  int64_t limit() const { return limit_; }
  int64_t held() const;
  int64_t peak() const;                     // the most that was ever held
  int waiting() const;                      // pushes that wait now
  std::chrono::nanoseconds waited() const;  // by pushes, in all, those over

  // For tables.
  // What a snapshot holds from its mark to its end. Never waits; false: it does not fit.
  [[nodiscard]] bool HoldFixed(int64_t bytes);
  void ReleaseFixed(int64_t bytes);
  // Images. Waits until `bytes` more fit, no image is held, or `over` is true. False: over, or it
  // waited too long, now or before.
  [[nodiscard]] bool Hold(int64_t bytes, const std::atomic<bool>& over);
  void Release(int64_t bytes);
  void Wake();  // after `over` was set

  // A step begins: it has all of `patience` before it.
  void BeginStep();

 private:
  void Add(int64_t bytes);  // under mutex_
  bool Fits(int64_t bytes) const { return held_ + bytes <= limit_; }

  const int64_t limit_;
  const std::chrono::nanoseconds patience_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int64_t held_ = 0, fixed_ = 0, peak_ = 0;
  int waiting_ = 0;
  bool given_up_ = false;
  std::chrono::nanoseconds waited_{0}, waited_before_step_{0};
};

}  // namespace trestle
