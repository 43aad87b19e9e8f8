// Files of blocks, Parquet or Arrow IPC, as records: every row one line of JSON with the columns
// that are asked for, so that what reads JSON lines reads them too. A row group is never held as a
// whole.
//
// Integers are exact, numbers the shortest text that comes back as the same; times are written as
// 2024-03-31 17:05:09, what JSON has no numbers for ("nan") as text. A row with text that is not
// UTF-8 is a line that is not JSON.
//
// Thread safety: one thread. Errors: kIoError; kInvalidData with Arrow's reason.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/import/records.h"

namespace trestle {

Result<std::unique_ptr<RecordStream>> OpenBlockRecords(const std::string& path,
                                                       const std::vector<std::string>& columns);

}  // namespace trestle
