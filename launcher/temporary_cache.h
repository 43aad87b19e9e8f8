// TemporaryCache: a folder for what is imported for one command alone, beside the config's own
// imports, since all ranks see those. It is removed with the object; what a killed command left is
// removed by the next one, which takes its place.
//
//   data/cache/x/temporary-1/owner   locked by the command that uses the folder
//
// Thread safety: one thread. Collective: no. Errors: kIoError.
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
  const std::unique_ptr<FileLock> lock_;
};

}  // namespace trestle
