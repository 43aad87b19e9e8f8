// SourceChunks: the records of several files, one file after the other, cut into chunks that
// threads take as they come. Where a chunk begins and ends depends on the files alone.
//
// Thread safety: Next may be called by several threads; the rest after all chunks were taken.
// Errors: those of the files; every further Next returns the same.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "worker/import/records.h"
#include "worker/import/source.h"

namespace trestle {

class SourceChunks {
 public:
  struct Chunk {
    int64_t number = 0;  // from 0, over all files
    size_t source = 0;
    RecordChunk records;
  };

  // `columns` as for OpenRecords.
  SourceChunks(const std::vector<Source>& sources, const TextFiles& text,
               std::vector<std::string> columns, int64_t chunk_bytes)
      : sources_(sources),
        text_(text),
        columns_(std::move(columns)),
        chunk_bytes_(chunk_bytes),
        hashes_(sources.size()) {}

  // Nothing after the last.
  Result<std::optional<Chunk>> Next();
  int64_t bytes_done();                                               // on disk
  const std::vector<std::string>& hashes() const { return hashes_; }  // XXH3-128 of each file

 private:
  Result<std::optional<Chunk>> NextLocked();
  Status OpenNext();

  const std::vector<Source>& sources_;
  const TextFiles& text_;
  const std::vector<std::string> columns_;
  const int64_t chunk_bytes_;
  std::mutex mutex_;
  std::unique_ptr<RecordStream> reader_;  // of the source at hand; null between two
  size_t source_ = 0;
  int64_t number_ = 0;
  int64_t bytes_before_ = 0;
  bool at_header_ = false;
  Status failed_;
  std::vector<std::string> hashes_;
};

}  // namespace trestle
