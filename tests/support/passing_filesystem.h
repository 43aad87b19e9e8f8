// A filesystem that passes everything on to another, for tests that change one call of it.
// Thread safety: that of the one beneath.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/filesystem.h"

namespace trestle {

class PassingFileSystem : public FileSystem {
 public:
  explicit PassingFileSystem(FileSystem& beneath) : beneath_(beneath) {}

  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    return beneath_.Create(path);
  }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override {
    return beneath_.OpenAppend(path);
  }
  Result<std::string> Read(const std::string& path) override { return beneath_.Read(path); }
  Result<int64_t> Size(const std::string& path) override { return beneath_.Size(path); }
  bool Exists(const std::string& path) override { return beneath_.Exists(path); }
  Status MakeDirectories(const std::string& path) override {
    return beneath_.MakeDirectories(path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return beneath_.Rename(from, to);
  }
  Status Remove(const std::string& path) override { return beneath_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override {
    return beneath_.RemoveDirectory(path);
  }
  Status SyncDirectory(const std::string& path) override { return beneath_.SyncDirectory(path); }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return beneath_.List(path);
  }
  Result<std::vector<std::string>> Glob(const std::string& pattern) override {
    return beneath_.Glob(pattern);
  }

 private:
  FileSystem& beneath_;
};

}  // namespace trestle
