// RunLock: that a run's folder belongs to one training run at a time. A second job with the same
// checkpoint.dir would overwrite the first one's model without a word.
//
// It is a lock on <folder>/lock (FileSystem::TryLock): the system releases it when the process
// ends, however it ends, so a crashed run leaves nothing to clean up. The file stays, and names its
// last holder. Where a filesystem has no such locks, a warning is logged and the run goes on.
//
// Thread safety: none needed. Collective: no, the leader takes it. Ownership: the filesystem must
// outlive it. Errors: kInUse when another run has it; those of the filesystem.
#pragma once

#include <memory>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

class RunLock {
 public:
  // The folder must exist. Held as long as the object lives. `cure`: what to do if another has it.
  static Result<RunLock> Take(FileSystem& fs, const std::string& folder,
                              const std::string& cure = "set checkpoint.dir");

 private:
  explicit RunLock(std::unique_ptr<FileLock> lock) : lock_(std::move(lock)) {}

  std::unique_ptr<FileLock> lock_;  // null where there are no locks
};

}  // namespace trestle
