// TemporaryCache: a folder for what is imported for one command alone, beside the config's own
// imports, since all ranks see those. It is removed with the object. What killed commands left is
// removed by the next one; nothing else is.
//
//   data/cache/x/temporary-HOST-71-1/trestle.owner   locked by the process of that number
//
// Where a filesystem has no locks, nobody knows whose process has ended: there leftovers stay.
//
// Thread safety: one thread an object. Collective: no. Errors: kIoError.
#pragma once

#include <memory>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

class TemporaryCache {
 public:
  // In `folder`, which is made where it is not there.
  static Result<std::unique_ptr<TemporaryCache>> Make(FileSystem& fs, const std::string& folder);
  ~TemporaryCache();
  TemporaryCache(const TemporaryCache&) = delete;
  TemporaryCache& operator=(const TemporaryCache&) = delete;

  const std::string& path() const { return path_; }

 private:
  TemporaryCache(std::string path, std::unique_ptr<FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string path_;
  const std::unique_ptr<FileLock> lock_;  // null where there are none
};

}  // namespace trestle
