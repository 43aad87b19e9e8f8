// BlockFile: one input file as a list of blocks, whatever its format: Parquet (row groups) or Arrow
// IPC (record batches), told apart by their magic bytes. Opening reads the footer alone.
//
// Thread safety: Read may be called by several threads at once; each call opens the file anew with
// the footer that is held here, so no reader state is shared. Errors: kNotFound, kIoError;
// kInvalidData for other formats, cut or damaged files, with Arrow's reason in one line. Every
// message starts with the path.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace arrow {
class ChunkedArray;
class Schema;
}  // namespace arrow

namespace trestle {

// Where the schema of an imported file has its content hash (worker/import/unit_file.cc).
inline constexpr char kContentHash[] = "trestle.content_xxh3_128";

class BlockFile {
 public:
  virtual ~BlockFile() = default;

  const std::string& path() const { return path_; }
  int64_t bytes() const { return bytes_; }
  // Hash of the footer: schema, sizes, places and statistics of all blocks.
  uint64_t footer_hash() const { return footer_hash_; }
  // Of a file that was imported: a hash of what it is trained on. Empty: of another.
  const std::string& content_hash() const { return content_hash_; }
  const std::vector<int64_t>& block_rows() const { return block_rows_; }
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  // What a block is called in this format: "row group" or "record batch".
  virtual const char* block_name() const = 0;

  // The named columns of one block, in that order; none has more or fewer rows than
  // block_rows()[block]. Requires: each name occurs in schema() exactly once.
  virtual Result<std::vector<std::shared_ptr<arrow::ChunkedArray>>> Read(
      int64_t block, const std::vector<std::string>& columns) const = 0;

 protected:
  std::string path_;
  int64_t bytes_ = 0;
  uint64_t footer_hash_ = 0;
  std::string content_hash_;
  std::vector<int64_t> block_rows_;
  std::shared_ptr<arrow::Schema> schema_;
};

Result<std::shared_ptr<const BlockFile>> OpenBlockFile(const std::string& path);

// For the two implementations.
Result<std::shared_ptr<const BlockFile>> OpenParquetFile(const std::string& path);
Result<std::shared_ptr<const BlockFile>> OpenIpcFile(const std::string& path);

}  // namespace trestle
