// CheckpointReader: a checkpoint as one thing, whether it is full or a delta on its base. Opening
// reads manifests and compares names and sizes of all files; contents are verified as they are
// read.
//
// Thread safety: const methods concurrently. Collective: none; each rank opens its own.
// Errors: kNotFound, kIoError; kCorrupt with file, expected, found: missing, renamed, cut and
// changed files. Files that no manifest lists are an error of Verify alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "embedding/table.h"
#include "ps/checkpoint/dense_file.h"
#include "ps/checkpoint/manifest.pb.h"
#include "ps/checkpoint/shard_file.h"

namespace trestle {

class CheckpointReader {
 public:
  static Result<std::unique_ptr<CheckpointReader>> Open(FileSystem& fs, const std::string& path);

  const std::string& path() const { return path_; }
  const Manifest& manifest() const { return manifest_; }
  // Of the full checkpoint that a delta stands on, else null.
  const Manifest* base() const { return base_ ? &base_->manifest() : nullptr; }

  // Of the whole table; 0 if the checkpoint has no such table.
  int64_t Rows(const std::string& table) const;
  // Every row of the table in partitions [begin, end), once: in the order of (partition, mixed key)
  // for a full checkpoint; of a delta first its own rows, then the base's others. kNotFound if the
  // checkpoint has no such table.
  Status ForEachRow(const std::string& table, uint32_t begin_partition, uint32_t end_partition,
                    const std::function<Status(const RowView&)>& visit) const;
  // The same rows, many at a time: for EmbeddingTable::Insert.
  Status ForEachRows(const std::string& table, uint32_t begin_partition, uint32_t end_partition,
                     const RowsVisitor& visit) const;
  Result<std::vector<NamedTensor>> Dense() const;

  // Reads every byte of every file of the chain: checksums, sizes, no file too many, and that the
  // rows add up to the manifest's digests.
  Status Verify() const;

 private:
  CheckpointReader(FileSystem& fs, std::string path, Manifest manifest,
                   std::unique_ptr<CheckpointReader> base);
  Status VerifyTable(const TableEntry& table) const;

  FileSystem& fs_;
  const std::string path_;
  const Manifest manifest_;
  const std::unique_ptr<CheckpointReader> base_;
};

}  // namespace trestle
