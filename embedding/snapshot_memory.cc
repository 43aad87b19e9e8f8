#include "embedding/snapshot_memory.h"

#include <glog/logging.h>

#include <algorithm>

namespace trestle {

int64_t SnapshotMemory::held() const {
  std::lock_guard lock(mutex_);
  return held_;
}

int64_t SnapshotMemory::peak() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

int SnapshotMemory::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_;
}

std::chrono::nanoseconds SnapshotMemory::waited() const {
  std::lock_guard lock(mutex_);
  return waited_;
}

bool SnapshotMemory::HoldFixed(int64_t bytes) {
  std::lock_guard lock(mutex_);
  if (!Fits(bytes)) return false;
  fixed_ += bytes;
  Add(bytes);
  return true;
}

void SnapshotMemory::ReleaseFixed(int64_t bytes) {
  {
    std::lock_guard lock(mutex_);
    fixed_ -= bytes;
    CHECK_GE(fixed_, 0);
  }
  Release(bytes);
}

bool SnapshotMemory::Hold(int64_t bytes, const std::atomic<bool>& over) {
  std::unique_lock lock(mutex_);
  const auto may_go_on = [&] { return over || given_up_ || Fits(bytes) || held_ == fixed_; };
  if (!may_go_on()) {
    const auto start = std::chrono::steady_clock::now();
    ++waiting_;
    const auto left = patience_ - (waited_ - waited_before_step_);
    given_up_ = !changed_.wait_for(lock, left, may_go_on) || given_up_;
    --waiting_;
    waited_ += std::chrono::steady_clock::now() - start;
  }
  if (over || given_up_) return false;
  Add(bytes);
  return true;
}

void SnapshotMemory::Release(int64_t bytes) {
  {
    std::lock_guard lock(mutex_);
    held_ -= bytes;
    CHECK_GE(held_, fixed_);
  }
  changed_.notify_all();
}

// Under the lock, so that a Push that has just seen `over` unset is asleep before it is woken.
void SnapshotMemory::Wake() {
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void SnapshotMemory::BeginStep() {
  std::lock_guard lock(mutex_);
  waited_before_step_ = waited_;
}

void SnapshotMemory::Add(int64_t bytes) {
  held_ += bytes;
  peak_ = std::max(peak_, held_);
}

}  // namespace trestle
