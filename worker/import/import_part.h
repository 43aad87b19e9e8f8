// ImportPart: files to the blocks of one part of a cache.
//
//   SHUFFLE  all records are scattered to buckets by a hash of (file, line), then each bucket is
//            sorted by it and becomes a file of blocks
//   TIME     stretches of the files, in their order, become files of blocks
//
// Sizes of buckets and stretches depend on the files' sizes alone, so the bytes are the same with
// any number of threads and any memory. Memory: buffers and as many units at a time as fit.
//
// Thread safety: one thread; it runs the pool's. Errors: those of files and disk.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "worker/import/row_reader.h"
#include "worker/import/source.h"

namespace trestle {

struct ImportProgress {
  double share = 0;   // of the work on this part that is done
  int64_t bytes = 0;  // of the sources, on disk, that were read
  int64_t rows = 0;   // written
};

struct PartRequest {
  std::vector<Source> sources;
  const ImportSettings* settings = nullptr;
  const ImportColumns* columns = nullptr;  // every kind decided
  double holdout = 0;
  std::string folder;  // of the part, to be made
  int64_t memory_bytes = 0;
  std::function<void(const ImportProgress&)> progress;  // called by one thread at a time
};

// The part but for its number. Files are durable when it returns.
Result<CachePart> ImportPart(FileSystem& fs, const PartRequest& request, ThreadPool& pool);

}  // namespace trestle
