// A FileSystem in memory that knows what a crash would leave of it. It keeps apart what was written
// and what is durable, records every change, and gives the disk as it could be found after a crash
// behind any of them. So a test breaks its code between any two operations, in the ways that POSIX
// allows:
//
//   data        what was appended to a file, and its truncation, is durable once the file is synced
//   names       that a file or folder was created, renamed or removed is durable once the folder
//               that holds the name is synced. Syncing a new file does not make its name durable.
//
// Thread safety: as FileSystem's. Ownership: files may outlive the FileSystem.
// Errors: kNotFound; kIoError where a path leads through a file or a folder stands in a file's
// place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/filesystem.h"

namespace trestle {

// What a crash does with changes that are not durable.
enum class NotDurable {
  kLost,
  kKept,
  kRandom,  // each name change kept or not; of a file's data any first part, maybe with a hole of
            // zeros in it
};

struct Crash {
  NotDurable data = NotDurable::kLost;
  NotDurable names = NotDurable::kLost;
  uint64_t seed = 0;  // of kRandom
};

class RecordingFileSystem final : public FileSystem {
 public:
  RecordingFileSystem();
  ~RecordingFileSystem() override;

  // Changes so far. Reading is none.
  int64_t operations() const;
  // "rename /a/b.tmp to /a/b"
  std::string Describe(int64_t operation) const;
  // The disk after a crash behind the first `operations` changes: a FileSystem of its own, whose
  // content is all durable and which has recorded nothing yet.
  std::unique_ptr<RecordingFileSystem> AfterCrash(int64_t operations, const Crash& crash) const;

  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override;
  Result<std::string> Read(const std::string& path) override;
  Result<int64_t> Size(const std::string& path) override;
  bool Exists(const std::string& path) override;
  Status MakeDirectories(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;  // also of folders
  Status Remove(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Result<std::vector<std::string>> Glob(const std::string& pattern) override;

 private:
  class Disk;
  class File;
  explicit RecordingFileSystem(std::shared_ptr<Disk> disk);

  std::shared_ptr<Disk> disk_;
};

}  // namespace trestle
