// A FileSystem over another one that fails as disks do: at the n-th call, with a short write, or
// because it is full. A test walks n from 1 until nothing fails any more, and so breaks its code at
// every place where it touches the disk.
//
// Thread safety: as FileSystem's. Ownership: the FileSystem beneath must outlive this one and its
// files. Errors: kIoError, "injected failure of call 7 (sync PATH)", "no space left (injected):
// PATH".
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/filesystem.h"

namespace trestle {

struct Faults {
  int64_t fail_call = 0;    // this call, counted from 1, and every later one fails; 0: none
  bool only_once = false;   // later calls succeed again
  int64_t short_write = 0;  // bytes that a failing Append writes before it fails
  int64_t capacity = std::numeric_limits<int64_t>::max();  // bytes that may be written in all
};

class FaultFileSystem final : public FileSystem {
 public:
  FaultFileSystem(FileSystem& beneath, const Faults& faults);
  ~FaultFileSystem() override;

  // Calls that could fail, so far.
  int64_t calls() const;

  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override;
  Result<std::string> Read(const std::string& path) override;
  Result<size_t> ReadInto(const std::string& path, int64_t offset,
                          std::span<std::byte> bytes) override;
  Result<int64_t> Size(const std::string& path) override;
  bool Exists(const std::string& path) override;  // cannot fail, is not counted
  Status MakeDirectories(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Result<std::vector<std::string>> Glob(const std::string& pattern) override;

 private:
  class Disk;
  class File;
  Result<std::unique_ptr<WritableFile>> Wrap(Result<std::unique_ptr<WritableFile>> file,
                                             const std::string& path);

  FileSystem& beneath_;
  std::shared_ptr<Disk> disk_;
};

}  // namespace trestle
