// What the sources that use Arrow share: errors as ours, files and footers. Included by .cc files
// only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace arrow {
class Status;
namespace io {
class ReadableFile;
}
}  // namespace arrow

namespace trestle {

// Arrow's status as one line after `where`: kOutOfMemory where it is that, else kInvalidData (Arrow
// does not tell a failed read from a cut file).
Status FromArrow(const arrow::Status& status, const std::string& where);

// "path: reason" of the system if the file cannot be opened.
Result<std::shared_ptr<arrow::io::ReadableFile>> OpenForReading(const std::string& path);

// Hash of the last `length` bytes before the trailer of `trailer` bytes, capped to the file.
Result<uint64_t> HashFooter(arrow::io::ReadableFile& file, const std::string& path, int64_t length,
                            int64_t trailer);

// Little-endian 32-bit length that stands `from_end` bytes before the end of the file.
Result<int64_t> ReadFooterLength(arrow::io::ReadableFile& file, const std::string& path,
                                 int64_t from_end);

}  // namespace trestle
