// ArrowOutput: a file that Arrow writes and that appears whole or not at all (base/atomic_file.h).
//
// Thread safety: one thread. Ownership: the stream must not outlive the object. Errors: the disk's
// first one is kept whole (StatusOf), since Arrow would pass on but its text.
#pragma once

#include <memory>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"

namespace arrow {
class Status;
namespace io {
class OutputStream;
}
}  // namespace arrow

namespace trestle {

class ArrowOutput {
 public:
  static Result<std::unique_ptr<ArrowOutput>> Create(FileSystem& fs, const std::string& path);
  virtual ~ArrowOutput() = default;

  virtual const std::string& path() const = 0;
  virtual std::shared_ptr<arrow::io::OutputStream> stream() const = 0;
  // What the disk said, if it was the disk; else what Arrow did.
  virtual Status StatusOf(const arrow::Status& status) const = 0;
  virtual Status Commit() = 0;
};

}  // namespace trestle
