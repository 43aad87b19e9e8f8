// FailureBox: how the main thread's failure reaches the keys thread of the same rank, so that the
// next Prepare ends on every rank instead of waiting for one that has stopped. WithinMemory: how
// running out of memory becomes such a failure.
//
// Thread safety: safe. The first failure stays.
#pragma once

#include <mutex>
#include <new>
#include <string>

#include "base/status.h"

namespace trestle {

// Runs what only this rank does; running out of memory in it is a failure like any other, and so
// reaches all ranks. `message` says what there is no memory for.
template <class Body>
Status WithinMemory(const std::string& where, const char* message, Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::kOutOfMemory, message).Wrap(where);
  }
}

// A part of a step.
template <class Body>
Status WithinMemory(const std::string& where, Body body) {
  return WithinMemory(
      where,
      "no memory for a step's keys, rows or gradients; use a smaller batch.rows or more ranks",
      body);
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
