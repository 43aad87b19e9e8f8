// FailureBox: how the main thread's failure reaches the keys thread of the same rank, so that the
// next Prepare ends on every rank instead of waiting for one that has stopped.
//
// Thread safety: safe. The first failure stays.
#pragma once

#include <mutex>

#include "base/status.h"

namespace trestle {

class FailureBox {
 public:
  // Returns `status`, kept unless there is one already.
  Status Put(Status status) {
    std::lock_guard lock(mutex_);
    if (first_.ok()) first_ = status;
    return status;
  }
  Status Get() const {
    std::lock_guard lock(mutex_);
    return first_;
  }

 private:
  mutable std::mutex mutex_;
  Status first_;
};

}  // namespace trestle
