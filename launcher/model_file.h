// A file of a model: written and read in pieces of 4 MiB, so that its size is bounded by the disk
// and not by memory, with a checksum over the pieces.
//
// Thread safety: one thread a file. Errors: kIoError, kNotFound; kCorrupt names the file, what was
// expected and what was found.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

// What model.json says of a file's bytes.
struct FileFacts {
  int64_t bytes = 0;
  std::string checksum;  // XXH3 of each piece, seeded with that of the pieces before; 16 hex digits
};

class ModelFileWriter {
 public:
  static Result<ModelFileWriter> Create(FileSystem& fs, const std::string& path);
  Status Write(const void* data, size_t bytes);
  // Flushes, syncs and closes.
  Result<FileFacts> Finish();

 private:
  explicit ModelFileWriter(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  Status Flush();

  std::unique_ptr<WritableFile> file_;
  std::string piece_;
  uint64_t hash_ = 0;
  int64_t bytes_ = 0;
};

// Hands the file's bytes to `consume`, piece after piece, and then compares size and checksum. What
// was consumed is good only if the result is OK.
Status ReadModelFile(FileSystem& fs, const std::string& path, const FileFacts& expected,
                     const std::function<Status(std::string_view piece)>& consume);

// The checksum of a text that is in memory.
std::string ChecksumOf(std::string_view text);

}  // namespace trestle
