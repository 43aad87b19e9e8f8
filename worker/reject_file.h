// The reject file: where a user finds the first rows that were refused, and why.
//
// Each write opens, appends and closes, so that the file is complete whenever a run stops.
// Thread safety: one thread. Errors: the filesystem's.
#pragma once

#include <string>

#include "base/filesystem.h"

namespace trestle {

inline constexpr int kMaxRejectLines = 1'000;

class RejectFile {
 public:
  // An empty path writes nothing.
  RejectFile(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}

  // Queues one line; those beyond kMaxRejectLines are dropped (the ledger counts them all).
  void Add(const std::string& file, int64_t row, const std::string& column,
           const std::string& reason);
  // Appends what is queued.
  Status Flush();

  // "data/x.parquet, row 17: label 2 is not 0 or 1" of the first Add; empty before.
  const std::string& first() const { return first_; }

 private:
  FileSystem& fs_;
  std::string path_;
  std::string first_;
  std::string queued_;
  int lines_ = 0;
};

}  // namespace trestle
