// Every effect on a disk goes through this interface, so that a test's filesystem can fail the n-th
// call, write short, fill up or lose what was not synced. (Arrow reads input files through its own
// filesystems: worker/parquet_source.cc.)
//
// Thread safety: a FileSystem is safe for concurrent use; a WritableFile belongs to one thread.
// Errors: kNotFound, kIoError with the path and the system's reason in the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace trestle {

class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual Status Append(std::span<const std::byte> bytes) = 0;
  virtual Status Sync() = 0;  // on disk when it returns
  virtual Status
  Close() = 0;  // must be called; a destructor that finds it open drops the file handle
};

// Held as long as it lives, and no longer than the process, however that ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;  // truncates
  virtual Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) = 0;
  virtual Result<std::string> Read(const std::string& path) = 0;
  // From `offset`; how many bytes there were, fewer than `bytes` only at the end of the file. This
  // one reads the whole file.
  virtual Result<size_t> ReadInto(const std::string& path, int64_t offset,
                                  std::span<std::byte> bytes);
  Result<std::string> ReadRange(const std::string& path, int64_t offset, int64_t bytes);
  virtual Result<int64_t> Size(const std::string& path) = 0;
  virtual bool Exists(const std::string& path) = 0;
  // Whether a file at that path is there only once it was closed, and then whole and durable, as in
  // an object store.
  virtual bool AppearsWhole(const std::string& path);
  virtual Status MakeDirectories(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;  // atomic
  virtual Status Remove(const std::string& path) = 0;                         // a file
  // An empty folder. This one says kUnsupported.
  virtual Status RemoveDirectory(const std::string& path);
  virtual Status SyncDirectory(const std::string& path) = 0;
  // Locks a file, which is made if it is not there: null if another process, or another lock of
  // this one, has it. kUnsupported where there are no such locks; this one says so.
  virtual Result<std::unique_ptr<FileLock>> TryLock(const std::string& path);
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;  // names, sorted
  // Paths that match a shell pattern, sorted; a pattern without wildcards matches itself if it
  // exists. A folder on the way that cannot be read is an error, but a missing one just holds no
  // match.
  virtual Result<std::vector<std::string>> Glob(const std::string& pattern) = 0;

  static FileSystem& Local();
};

// Makes the folder and those above it that are missing, and syncs the folders that got a new name:
// only these, since one above a folder that was there may be another's and not even readable.
Status MakeDurableDirectories(FileSystem& fs, const std::string& path);

}  // namespace trestle
