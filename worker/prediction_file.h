// PredictionFile: predictions as a table, a row for each row of the input and in its order.
//
//   row, or the columns asked for     `row` is the number from 0 over all files
//   logit       float                 the network's
//   prediction  double                the probability that it means; what eCPM is made of
//   ecpm        double                1000 * bid * prediction, in the bid's unit
//   rank        int32                 in the request, 1 for the highest eCPM, or prediction where
//                                     there is no bid; the earlier of equal ones first
//   attention_HISTORY   list<float>   of each item kept, oldest first
//   embedding_NAME      list<float>
//
// What does not exist is null: everything of a rejected row but its own columns; ecpm and rank
// without a finite bid; rank without a request.
//
// Ranks are known at the end, so the rows wait on the output's disk, or in the temporary directory
// where the output is in an object store (waiting_rows.h); and in memory as RequestRanks says.
// Otherwise memory is a block of the input.
//
// Thread safety: one thread. Errors: kIoError of the disk; kInvalidConfig for what CSV cannot hold
// and for columns that are named like ours; kNumeric for a logit that is not finite; InputColumns'.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/model.h"
#include "base/filesystem.h"
#include "base/status.h"
#include "worker/input.h"
#include "worker/predicted_rows.h"

namespace trestle {

inline constexpr char kRowNumber[] = "row";

struct PredictionFileOptions {
  struct Column {
    std::string name;       // in the output, as the user knows it
    std::string stored_as;  // in the input's blocks
  };
  std::string path;                    // ends in .parquet or .csv
  std::vector<Column> columns;         // of one named kRowNumber `stored_as` is empty
  std::string bid, request;            // in the input's blocks; empty: none
  bool imported = false;               // the blocks are the import's
  std::vector<std::string> attention;  // per ModelOutputSpec::attention, its column's name
  std::vector<ModelOutputSpec::Embedding> embeddings;
};

// Whether a file can be written there: its ending, its folder, that it is none of the input, and
// that there is none unless `force`. `input`: patterns, as OpenDataset takes them.
Status CheckPredictionPath(FileSystem& fs, const std::string& path, bool force,
                           const std::vector<std::string>& input);

class PredictionFile {
 public:
  virtual ~PredictionFile() = default;  // without Commit there is no file
  // The next rows.
  virtual Status Append(const PredictedRows& rows) = 0;
  // After the last.
  virtual Status Commit() = 0;
  virtual int64_t rows() const = 0;
  virtual double mean_prediction() const = 0;  // of those that have one
};

Result<std::unique_ptr<PredictionFile>> CreatePredictionFile(FileSystem& fs,
                                                             const std::vector<InputFile>& input,
                                                             const PredictionFileOptions& options);

}  // namespace trestle
