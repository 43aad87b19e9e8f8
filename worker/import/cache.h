// The cache of imported files: a folder with MANIFEST.json and a folder a part. A part is in use if
// the manifest lists it; the manifest is written last and atomically, so an import that was killed
// anywhere leaves the cache as it was, and what it had written is removed by the next one.
//
//   MANIFEST.json                  settings, parts, files with rows and checksums; sealed
//   part-00001/000000.arrow ...    blocks
//   part-00001/rejected.tsv        file, line, column and reason of bad rows
//   lock                           held by the process that imports
//   in-use-1 ...                   each held by a job that reads parts
//
// Numbers of parts are never used twice, and parts that the manifest no longer lists are removed
// only while no job reads the cache; so a job may read its parts to its end.
//
// Thread safety: one thread; processes are kept apart by locks (LockCache).
// Errors: kIoError; kCorrupt for a manifest that fails its checks.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
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

// For a part that is about to be made: above all that are, were or are left on the disk.
Result<int> NextPartNumber(FileSystem& fs, const std::string& folder,
                           const CacheManifest& manifest);

// Removes the folder of a part, if it is there.
Status RemovePart(FileSystem& fs, const std::string& folder, int number);
// Removes what imports left that is not in the manifest, unless a job reads the cache; nothing
// else.
Status RemoveUnlistedParts(FileSystem& fs, const std::string& folder,
                           const CacheManifest& manifest);

// Locks last as long as the object, and are null where a filesystem has none: keeping imports and
// jobs apart is up to the user there. The folder must exist.
//
// To change the cache, or to begin to read it. Waits for another process, and says so once;
// kDeadlineExceeded after a day. `sleep` is how it waits; a test has no day.
void SleepFor(std::chrono::milliseconds time);
Result<std::unique_ptr<FileLock>> LockCache(
    FileSystem& fs, const std::string& folder, const std::function<void(const std::string&)>& say,
    const std::function<void(std::chrono::milliseconds)>& sleep = SleepFor);
// To read the cache; taken while it is locked. Any number of jobs may.
Result<std::unique_ptr<FileLock>> UseCache(FileSystem& fs, const std::string& folder);

}  // namespace trestle
