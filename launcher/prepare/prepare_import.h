// `trestle prepare import CONFIG`: imports what the config names and tells what came of it.
//
// Thread safety: one thread. Collective: no. Errors: PrepareInput's and CheckRejected's.
#pragma once

#include <cstdint>

#include "base/filesystem.h"
#include "base/status.h"
#include "launcher/config.h"

namespace trestle {

struct ImportArguments {
  int threads = 0;  // 0: all cores
  uint64_t memory = uint64_t{1} << 30;  // bytes
  bool key_counts = false;  // also write CACHE/key-counts/TABLE.arrow, of data.train
};

Status PrepareImport(const LoadedConfig& loaded, const ImportArguments& arguments, FileSystem& fs);

}  // namespace trestle
