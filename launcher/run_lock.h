// RunLock: that a run's folder belongs to one training run at a time. A second job with the same
// checkpoint.dir would overwrite the first one's model without a word.
//
// It is flock(2) on <folder>/lock: the kernel releases it when the process ends, however it ends,
// so a crashed run leaves nothing to clean up. The file stays, and names its last holder. Where a
// filesystem has no such locks, a warning is logged and the run goes on.
//
// Thread safety: none needed. Collective: no, the leader takes it. Errors: kInvalidConfig when
// another run has it, kIoError.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace trestle {

class RunLock {
 public:
  // The folder must exist. Held as long as the object lives. `cure`: what to do if another has it.
  static Result<std::unique_ptr<RunLock>> Take(const std::string& folder,
                                               const std::string& cure = "set checkpoint.dir");

  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  explicit RunLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace trestle
