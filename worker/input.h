// Input: files to lanes. A Dataset knows the blocks (Parquet row groups of at most 65,536 rows,
// Arrow record batches) of a list of files; a LaneReader streams the rows that the plan deals to
// this worker's lanes. What each lane reads is a function of (seed, segment, epoch, step, lane)
// alone:
//
//   SHUFFLE  the epoch's order is a permutation of blocks by (seed, epoch) and of rows inside each;
//   lane
//            l of L reads rows [l*N/L, (l+1)*N/L) of it, ceil/floor(B/L) of them a step
//   TIME     step t's batch is rows [t*B, (t+1)*B); lanes take contiguous pieces of it
//
// (plan.h has the exact shares.) A lane holds one decoded block; lanes in the same block share it.
// A row that the schema refuses (block_decode.h lists why) is counted and leaves a hole, and so
// does a row of label 0 that is not trained on.
//
// Thread safety: Dataset is immutable; a LaneReader belongs to one thread (the keys thread).
// Errors: opening lists every missing file, wrong type, missing column and oversized row group at
// once (kNotFound, kInvalidData); a bad row is not an error but counted and written to the reject
// file, until the caller sees too many.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "base/types.h"
#include "worker/data.pb.h"
#include "worker/lane_rows.h"
#include "worker/schema.h"

namespace trestle {

struct Block;

inline constexpr int64_t kMaxBlockRows = 65'536;

// The key of a null id or group: the string key of a text that starts with a NUL, so no other
// text's.
Key MissingKey(uint64_t table_seed);
// The text of a missing cell in a column of slices.
inline constexpr char kMissingText[] = "(missing)";

// One file as the metadata has it.
struct InputFile {
  std::string path;
  int64_t rows = 0;
  uint64_t fingerprint = 0;  // of name, size, rows and footer: ranks and resumes compare it
  std::vector<int64_t> block_rows;
};

// Count, mean, deviation, extremes of a numeric column after its transform, over all training rows.
// `std` is that of the population. Cells that make a row bad are left out.
struct NumericStatistics {
  int64_t count = 0;
  double mean = 0, std = 1, min = 0, max = 1;
};

// Opens the files that the patterns name, checks columns and types against the schema.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const std::vector<InputFile>& files() const = 0;
  virtual int64_t rows() const = 0;
  virtual int64_t blocks() const = 0;
  virtual uint64_t Fingerprint() const = 0;
  // What the ledger of one pass must add up to: sum over (file, row) of LedgerHash, mod 2^64.
  virtual uint64_t ExpectedHash() const = 0;
  virtual const Schema& schema() const = 0;
  // Partial statistics of numeric columns of blocks [begin, end), one entry a block and column, to
  // be merged in the order of blocks (MergeStatistics), so that ranks can share the work.
  virtual Result<std::vector<std::vector<NumericStatistics>>> BlockStatistics(
      int64_t begin, int64_t end) const = 0;
  // Cells of each of Schema::buckets, in the rows of blocks [begin, end) that quantiles look at
  // (IsQuantileRow); none of those with given bounds.
  virtual Result<std::vector<std::vector<double>>> QuantileCells(int64_t begin,
                                                                 int64_t end) const = 0;
  // Decodes one block, blocks numbered file after file. `statistics` per Schema::numeric, `bounds`
  // per Schema::buckets. Safe for concurrent calls. Used by the LaneReader.
  virtual Result<std::shared_ptr<const Block>> ReadBlock(
      int64_t block, const std::vector<NumericStatistics>& statistics,
      const std::vector<std::vector<double>>& bounds) const = 0;
};

struct DatasetOptions {
  std::vector<std::string> patterns;  // files are numbered pattern after pattern, sorted in each
  std::vector<uint64_t> table_seeds;  // per Schema::tables, for string keys
  // Slot::type is what training read: ids of another type would have other keys, and are refused.
  bool check_types = false;
};
Result<std::unique_ptr<Dataset>> OpenDataset(const Schema& schema, const DatasetOptions& options);

// Per Schema::slots, what a file of blocks has: ANY for what is no column of ids there.
Result<std::vector<IdType>> IdTypesOf(const Schema& schema, const std::string& path);

NumericStatistics MergeStatistics(const NumericStatistics& a, const NumericStatistics& b);

// The hash of one row's identity in the ledger.
uint64_t LedgerHash(uint64_t file_index, uint64_t row_in_file);

// What a pass read: additive over lanes and ranks.
struct Ledger {
  int64_t read = 0;  // rejected ones included
  int64_t rejected = 0;
  uint64_t hash = 0;     // sum of LedgerHash over rows read
  int64_t left_out = 0;  // good ones of label 0, by PlanOptions::negative_keep
};

struct PlanOptions {
  Order order = SHUFFLE;
  uint64_t seed = 0;
  int64_t segment = 0;
  int64_t epoch = 0;
  int64_t batch_rows = 4096;
  int lanes = 16;
  int first_lane = 0, end_lane = 16;  // this worker's
  int64_t first_step = 0;             // resume: skips by counting; the ledger starts at 0
  // Per Schema::numeric; may be empty if none is scaled. Those of scaled columns are finite, or
  // OpenLanes fails with kInvalidData.
  std::vector<NumericStatistics> statistics;
  // Per Schema::buckets; may be empty if none are quantiles.
  std::vector<std::vector<double>> bounds;
  double negative_keep = 1;  // share of the rows of label 0 that are read (negative_keep.h)
  // The first 1,000 rejects are appended to this file as file<TAB>row<TAB>column<TAB>reason, rows
  // counted from 0 in the file; empty: none.
  std::string reject_path;
};

class LaneReader {
 public:
  virtual ~LaneReader() = default;
  virtual int64_t steps() const = 0;  // of the whole pass, the same on every worker
  // The next step's rows of this worker's lanes; nullopt after the last step.
  virtual Result<std::optional<std::vector<LaneRows>>> Next() = 0;
  virtual const Ledger& ledger() const = 0;  // of this worker's lanes so far
  // The first rejected row: "data/x.parquet, row 17: label 2 is not 0 or 1". Empty if none.
  virtual const std::string& first_reject() const = 0;
};

Result<std::unique_ptr<LaneReader>> OpenLanes(const Dataset& dataset, const PlanOptions& plan,
                                              FileSystem& fs);

}  // namespace trestle
