// A FileSystem whose files are those of another one, but for a few that read as the test says: a
// checkpoint is cut and changed ten thousand times without writing it once. Read only.
//
// Thread safety: as FileSystem's, while nothing is altered. Ownership: `beneath` must outlive it.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/filesystem.h"

namespace trestle {

class AlteredFiles final : public FileSystem {
 public:
  explicit AlteredFiles(FileSystem& beneath) : beneath_(beneath) {}
  std::map<std::string, std::string> altered;  // path to contents

  Result<std::string> Read(const std::string& path) override {
    const auto it = altered.find(path);
    return it != altered.end() ? it->second : beneath_.Read(path);
  }
  Result<size_t> ReadInto(const std::string& path, int64_t offset,
                          std::span<std::byte> bytes) override {
    if (altered.contains(path)) return FileSystem::ReadInto(path, offset, bytes);
    return beneath_.ReadInto(path, offset, bytes);
  }
  Result<int64_t> Size(const std::string& path) override {
    const auto it = altered.find(path);
    if (it == altered.end()) return beneath_.Size(path);
    return static_cast<int64_t>(it->second.size());
  }
  bool Exists(const std::string& path) override {
    return altered.contains(path) || beneath_.Exists(path);
  }
  Result<std::vector<std::string>> List(const std::string& directory) override {
    return beneath_.List(directory);
  }
  Result<std::vector<std::string>> Glob(const std::string& pattern) override {
    return beneath_.Glob(pattern);
  }

  Result<std::unique_ptr<WritableFile>> Create(const std::string& p) override { return Only(p); }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& p) override {
    return Only(p);
  }
  Status MakeDirectories(const std::string& path) override { return Only(path); }
  Status Rename(const std::string& from, const std::string&) override { return Only(from); }
  Status Remove(const std::string& path) override { return Only(path); }
  Status SyncDirectory(const std::string& path) override { return Only(path); }

 private:
  static Status Only(const std::string& path) {
    return {StatusCode::kUnsupported, path + ": read only"};
  }

  FileSystem& beneath_;
};

}  // namespace trestle
