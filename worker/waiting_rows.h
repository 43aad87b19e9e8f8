// WaitingRows: record batches that wait on the disk until something is known of all rows (ranks).
//
// They are in a file (Arrow IPC) that has no name, so that nobody's file is in its way, and that is
// gone with the process however it ends. Nothing of it is synced.
//
// Thread safety: one thread. Memory: a batch. Errors: kIoError with the folder.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace trestle {

class WaitingRows {
 public:
  // On the disk of `folder`, which must be there.
  static Result<std::unique_ptr<WaitingRows>> Create(const std::string& folder,
                                                     const std::shared_ptr<arrow::Schema>& schema);
  virtual ~WaitingRows() = default;
  virtual Status Write(const arrow::RecordBatch& rows) = 0;
  // All batches in their order. Once; nothing can be written any more.
  virtual Status Read(const std::function<Status(const arrow::RecordBatch&)>& visit) = 0;
};

}  // namespace trestle
