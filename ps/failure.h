// FailureBox: how the main thread's failure reaches the keys thread of the same rank, so that the
// next Prepare ends on every rank instead of waiting for one that has stopped.
//
// Thread safety: safe. The first failure stays.
#pragma once

#include <mutex>
#include <new>
#include <string>

#include "base/status.h"

namespace trestle {

// Runs a part of a step that only this rank computes; running out of memory in it is a failure like
// any other, and so reaches all ranks.
template <class Body>
Status WithinMemory(const std::string& where, Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Status(
               StatusCode::kOutOfMemory,
               "no memory for a step's keys, rows or gradients; use a smaller batch.rows or more "
               "ranks")
        .Wrap(where);
  }
}

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
