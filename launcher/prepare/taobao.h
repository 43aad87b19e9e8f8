// `trestle prepare taobao`: the four files that Alibaba publishes (or `trestle synth taobao`
// writes) to training files, by the steps of prepare/taobao.sql, each run in DuckDB.
//
//   OUT/train/part-00000.parquet ...   impressions of the first seven days
//   OUT/test/part-00000.parquet ...    those of the eighth
//   OUT/prepared.json                  what was prepared; written last
//
// At most 262,144 rows a file, 8,192 a row group. The bytes depend on the rows and the order alone,
// not on memory, threads, buckets or time.
//
// Thread safety: one thread, the only one of its process (duckdb.h). Collective: no.
// Errors: kNotFound (a file, duckdb), kInvalidData (names file and line), kInvalidConfig (the
// folder), kOutOfMemory, kIoError, kInterrupted. Nothing is dropped silently: rows out are checked
// against rows in, and what is left out is counted.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

struct PrepareTaobaoOptions {
  std::string raw;
  std::string out;
  std::string duckdb;                   // empty: see DuckDb::Find
  bool in_time_order = false;           // else by a hash
  uint64_t memory = uint64_t{4} << 30;  // bytes, of all processes together
  int threads = 1;
  int64_t buckets = 0;          // of users; 0: as many as the memory asks for
  int64_t file_rows = 262'144;  // at most, about
  bool force = false;           // even if OUT is complete
};

inline constexpr uint64_t kPrepareLeastMemory = uint64_t{512} << 20;

// Progress goes to `progress`, what was prepared to `out`.
Status PrepareTaobao(FileSystem& fs, const PrepareTaobaoOptions& options, std::ostream& out,
                     std::ostream& progress);

}  // namespace trestle
