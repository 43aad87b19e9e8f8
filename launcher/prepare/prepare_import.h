// `trestle prepare import CONFIG`: imports what the config names and tells what came of it.
//
// Thread safety: one thread. Collective: no. Errors: PrepareInput's and CheckRejected's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "launcher/config.h"

namespace trestle {

struct ImportArguments {
  int threads = 0;  // 0: all cores
  std::string memory = "1G";
  bool key_counts = false;  // also write CACHE/key-counts/TABLE.arrow, of data.train
};

// "512M", "2G", or bytes; at least 64 MiB. kInvalidConfig otherwise.
Result<int64_t> ParseMemory(const std::string& text);

Status PrepareImport(const LoadedConfig& loaded, const ImportArguments& arguments, FileSystem& fs);

}  // namespace trestle
