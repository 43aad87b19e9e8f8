// The cache of imported files: a folder with MANIFEST.json and a folder a part. A part is in use if
// the manifest lists it; the manifest is written last and atomically, so an import that was killed
// anywhere leaves the cache as it was, and what it had written is removed by the next one.
//
//   MANIFEST.json                  settings, parts, files with rows and checksums; sealed
//   part-00001/000000.arrow ...    blocks
//   part-00001/rejected.tsv        file, line, column and reason of bad rows
//   lock                           held by the process that imports
//
// Thread safety: one thread; processes are kept apart by the lock (CacheLock).
// Errors: kIoError; kCorrupt for a manifest that fails its checks.
#pragma once

#include <string>

#include "base/filesystem.h"
#include "base/status.h"
#include "worker/import/cache.pb.h"

namespace trestle {

inline constexpr int kCacheFormat = 1;

// An empty manifest where there is none.
Result<CacheManifest> ReadCacheManifest(FileSystem& fs, const std::string& folder);
Status WriteCacheManifest(FileSystem& fs, const std::string& folder, const CacheManifest& manifest);

std::string PartFolder(const std::string& folder, int number);

// Removes what imports left that is not in the manifest; nothing else.
Status RemoveUnlistedParts(FileSystem& fs, const std::string& folder,
                           const CacheManifest& manifest);

// Held while the object lives and the process does: flock(2) on <folder>/lock. Waits for another
// process that imports there. The folder must exist.
class CacheLock {
 public:
  static Result<CacheLock> Take(const std::string& folder);
  ~CacheLock();
  CacheLock(CacheLock&& other) noexcept;
  CacheLock& operator=(CacheLock&&) = delete;

 private:
  explicit CacheLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace trestle
