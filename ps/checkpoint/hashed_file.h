// HashedFile: a file that is written from front to back while its checksum is taken. Small pieces
// are collected, so that the system sees writes of megabytes whatever the caller's are.
//
// Thread safety: one thread. Ownership: owns the file; one that is destroyed before Finish leaves
// what it wrote, unsynced.
// Errors: those of the filesystem, which name the path. Nothing may be called after one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/filesystem.h"
#include "base/hash.h"
#include "base/status.h"

namespace trestle {

class HashedFile {
 public:
  static Result<std::unique_ptr<HashedFile>> Create(FileSystem& fs, const std::string& path);

  Status Append(std::span<const std::byte> bytes);
  int64_t bytes() const { return bytes_; }
  // Writes the rest, syncs, closes. Returns the XXH3-128 of it all.
  Result<std::string> Finish();

 private:
  explicit HashedFile(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  Status Flush();

  std::unique_ptr<WritableFile> file_;
  std::vector<std::byte> pending_;
  Hasher128 hasher_;
  int64_t bytes_ = 0;
};

// kCorrupt in the words of all files of a checkpoint.
Status CorruptFile(const std::string& path, const std::string& what);

// Whether the file is there with `bytes` bytes; else kCorrupt with what was found.
Status CheckFileSize(FileSystem& fs, const std::string& path, int64_t bytes);

// kCorrupt unless the hashes are equal. `part` is what was hashed, "" for the whole file.
Status CheckHash(const std::string& path, const std::string& part, const std::string& expected,
                 const std::string& found);

// Reads [offset, offset + bytes), all of it or kCorrupt.
Status ReadExactly(FileSystem& fs, const std::string& path, int64_t offset,
                   std::span<std::byte> bytes);
Result<std::string> ReadExactly(FileSystem& fs, const std::string& path, int64_t offset,
                                int64_t bytes);

}  // namespace trestle
