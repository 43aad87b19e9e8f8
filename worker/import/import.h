// PrepareInput: from the files that a config names to files of blocks that a Dataset opens.
//
// Files that hold blocks already are taken as they are. Otherwise all files of data.train, of
// data.test, or of another evaluation set, come from the cache: what it lacks is imported first
// (import_part.h), as a further part. A part of the cache is used if all its sources are named and
// unchanged: of the same size and time, or else of the same bytes; in order TIME if they also are the
// next ones of the set. Parts of other settings, or whose sources changed, are removed, and those
// that no set can use though it names their files.
//
// Thread safety: one thread. Collective: no; one rank does it. Two processes that prepare one cache
// wait for each other. Files of the cache stay as they are for as long as the PreparedInput lives.
// Errors: kNotFound, kInvalidData, all at once, as a Dataset's; kIoError, kCorrupt. CheckRejected:
// kInvalidData if more rows were rejected than data.max_bad_rows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "worker/import/import_part.h"
#include "worker/schema.h"

namespace trestle {

using Patterns = std::vector<std::string>;

struct PrepareOptions {
  bool train = true;                 // else data.test and more_tests alone, as `eval` does
  std::vector<Patterns> more_tests;  // of evaluation sets beside data.test
  int threads = 1;
  int64_t memory_bytes = int64_t{1} << 30;
  // For predictions: further columns, under names of their own (ImportColumn::stored_as); and bad
  // rows keep their places, as Schema::refused then tells a Dataset.
  ImportColumns more;
  bool keep_refused = false;
  // For predictions too: makes the folder that takes the place of data.cache, if there is something
  // to import.
  std::function<Result<std::string>()> make_cache;
  // A part begins: "importing 3 files, 1.2 GB, into data/cache/x".
  std::function<void(const std::string&)> say;
  std::function<void(const ImportProgress&)> progress;
};

struct PreparedInput {
  Patterns train, test;              // for OpenDataset
  std::vector<Patterns> more_tests;  // as PrepareOptions has them
  std::vector<CachePart> parts;      // of the cache that are used
  int64_t imported = 0;              // parts, of them, that are new
  std::unique_ptr<FileLock> in_use;  // of the cache; null where there are no locks
};

// The schema with the type of ids as training read them, so that the same ids get the same keys:
// as the first file of data.train has them if it is read in place; else, where the config leaves it
// open, as the cache or, without one, that file tells. What nothing tells stays open, and its
// columns are `unknown`.
Schema WithTrainedTypes(const Schema& schema, const Data& data, FileSystem& fs,
                        std::vector<std::string>* unknown);

Result<PreparedInput> PrepareInput(const Schema& schema, const Data& data,
                                   const PrepareOptions& options, FileSystem& fs);

// Why rows that were rejected, or that are not there, stop a run, if they do. (A set of more_tests
// without rows is for whoever opens it to tell.)
Status CheckRejected(const PreparedInput& input, const Data& data);

}  // namespace trestle
