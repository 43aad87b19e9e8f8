// ByteStream: the bytes of a file from front to back, unpacked where it is gzip or zstd (told by
// its first bytes), while the checksum of the file itself is taken.
//
// Thread safety: one thread. Errors: kNotFound, kIoError, kInvalidData for a damaged archive; all
// name the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace trestle {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Appends `bytes` bytes to `out`, fewer only at the end.
  virtual Status Read(int64_t bytes, std::string* out) = 0;
  virtual int64_t file_bytes() const = 0;    // read so far, packed
  virtual std::string Xxh3_128() const = 0;  // of what was read so far, packed
};

Result<std::unique_ptr<ByteStream>> OpenByteStream(const std::string& path);

// Xxh3_128 of the whole file.
Result<std::string> HashFile(const std::string& path);

}  // namespace trestle
