// A file that appears whole or not at all: written as "<path>.tmp", in pieces of 1 MiB, synced and
// renamed by Commit, so that a reader sees the old file or the new one. One that is destroyed
// before is removed. In an object store, where a file is there whole once it was closed, it is
// written under its own name: a rename would copy it.
//
// Thread safety: one thread. Ownership: the filesystem must outlive it. Errors: kIoError.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

class AtomicFile {
 public:
  static Result<std::unique_ptr<AtomicFile>> Create(FileSystem& fs, const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t bytes() const { return bytes_; }  // appended so far
  Status Append(const void* data, size_t bytes);
  Status Append(std::string_view text) { return Append(text.data(), text.size()); }
  Status Commit();

 private:
  AtomicFile(FileSystem& fs, std::string path, std::string temporary,
             std::unique_ptr<WritableFile> file);
  Status Flush();

  FileSystem& fs_;
  const std::string path_;
  const std::string temporary_;         // path_ where that appears whole
  std::unique_ptr<WritableFile> file_;  // null once committed
  std::string piece_;
  int64_t bytes_ = 0;
};

// A small file at once.
Status WriteFileAtomically(FileSystem& fs, const std::string& path, std::string_view text);

}  // namespace trestle
