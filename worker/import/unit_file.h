// UnitFile: the columns of a unit as an Arrow IPC file of blocks of 4,096 rows.
//
// Columns take the narrowest type that holds their values exactly: integers, and numbers that are
// whole, 8 to 64 bits; strings of few kinds a dictionary. So types differ from file to file, which
// the reader of blocks takes as they come.
//
// Thread safety: pure functions, but for the disk. Errors: kIoError, kOutOfMemory.
#pragma once

#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "worker/import/row_reader.h"
#include "worker/import/unit_columns.h"

namespace trestle {

inline constexpr int64_t kImportBlockRows = 4096;

// Writes `path`, not synced, and returns what the manifest says of it. The columns are used up.
Result<CacheFile> WriteUnitFile(FileSystem& fs, const std::string& path, const ImportColumns& names,
                                std::vector<UnitColumn>* columns);

}  // namespace trestle
