// Scatter: the first half of a global shuffle in bounded memory. Every record gets a hash of (file,
// line); buckets are ranges of the hash, and records are appended to their bucket's file as they
// come, with where they are from, so that a bucket can be sorted by the hash later on. What a
// bucket then holds does not depend on the number of threads.
//
// Thread safety: Add from several threads. Errors: the filesystem's.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "worker/import/source_chunks.h"

namespace trestle {

// Where in the shuffled order a record stands; lines of a file never share a place.
uint64_t ShufflePlace(uint32_t source, int64_t line);

// Ranges of places: `train` equal ones, then `test` equal ones of the last `holdout` share.
class BucketRanges {
 public:
  BucketRanges(size_t train, size_t test, double holdout);
  size_t size() const { return train_ + test_; }
  size_t train() const { return train_; }
  size_t Of(uint64_t place) const;

 private:
  size_t train_, test_;
  uint64_t cut_;  // the first place of the test ranges; UINT64_MAX: there are none
};

// A record as it is found in a bucket.
struct ScatteredRecord {
  uint64_t place = 0;
  int64_t line = 0;
  uint32_t source = 0;
  std::string_view record;
};

class Scatter {
 public:
  // Files are "<folder>/bucket-<number>.tmp".
  Scatter(FileSystem& fs, std::string folder, const BucketRanges& ranges, int64_t buffer_bytes);

  // Adds the records of a chunk. `quote` as for RecordCursor.
  Status Add(const SourceChunks::Chunk& chunk, char quote);
  Status Flush();
  int64_t bytes(size_t bucket) const { return buckets_[bucket].bytes; }

  // The bytes of a bucket (what the records then point into), and its records in their shuffled
  // order.
  Result<std::string> Read(size_t bucket) const;
  static std::vector<ScatteredRecord> Sorted(std::string_view bytes);
  Status Remove(size_t bucket);

 private:
  struct Bucket {
    std::mutex mutex;
    std::string waiting;
    int64_t bytes = 0;
  };
  std::string Path(size_t bucket) const;
  Status Append(size_t bucket, std::string_view bytes);
  Status Write(size_t bucket, std::string_view more);  // what waits, and more

  FileSystem& fs_;
  const std::string folder_;
  const BucketRanges ranges_;
  const size_t buffer_bytes_;
  std::vector<Bucket> buckets_;
};

}  // namespace trestle
