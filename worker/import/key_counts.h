// How often each key of each table occurs in files of blocks: its occurrences, and the samples
// (rows) that hold it. One Arrow IPC file a table, "<folder>/<table>.arrow" with the columns key
// (uint64, as the table has it), occurrences and samples (int64), the keys of a missing cell among
// them; the same bytes at any number of threads.
//
// Memory: a table whose keys do not fit is counted in several passes, of a part of the keys each.
// Thread safety: one thread; it runs the pool's. Errors: those of the files and of the disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "worker/input.h"
#include "worker/schema.h"

namespace trestle {

Status WriteKeyCounts(const Schema& schema, const DatasetOptions& files, const std::string& folder,
                      int64_t memory_bytes, ThreadPool& pool, FileSystem& fs);

}  // namespace trestle
