// The reject file: where a user finds the first rows that were refused, and why.
//
// There is one a rank in the run's folder, of the latest training there; one that is resumed
// appends, and repeats the rows of steps that are trained again. `predict` has its own beside its
// output. Each write opens, appends and closes, so that the file is complete whenever a run stops.
// Thread safety: one thread. Errors: the filesystem's.
#pragma once

#include <string>

#include "base/filesystem.h"
#include "base/types.h"

namespace trestle {

inline constexpr int kMaxRejectLines = 1'000;

std::string RejectPath(const std::string& folder, Rank rank);
std::string PredictionRejectPath(const std::string& output, Rank rank);

// Removes what earlier runs left in the folder, of any number of ranks. All ranks may do it at
// once, before any of them reads.
Status RemoveRejectFiles(FileSystem& fs, const std::string& folder);

// Likewise what earlier predictions left beside the output; one rank does it.
Status RemovePredictionRejects(FileSystem& fs, const std::string& output);

class RejectFile {
 public:
  // An empty path writes nothing.
  RejectFile(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}

  // Queues one line; those beyond kMaxRejectLines are dropped (the ledger counts them all).
  void Add(const std::string& file, int64_t row, const std::string& column,
           const std::string& reason);
  // The same of a line of a text file, counted from 1.
  void AddLine(const std::string& file, int64_t line, const std::string& column,
               const std::string& reason);
  // Appends what is queued.
  Status Flush();

  // "data/x.parquet, row 17: label 2 is not 0 or 1" of the first Add; empty before.
  const std::string& first() const { return first_; }

 private:
  FileSystem& fs_;
  void Add(const std::string& file, const char* unit, int64_t number, const std::string& column,
           const std::string& reason);

  std::string path_;
  std::string first_;
  std::string queued_;
  int lines_ = 0;
};

}  // namespace trestle
