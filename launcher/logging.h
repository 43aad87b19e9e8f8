// glog, set up for a rank: everything goes to <run folder>/logs/rank-<N>.log, appended; only errors
// also reach stderr. A user's mistake is a Status and never logged as fatal, so that no stack trace
// appears for it; a failed CHECK still prints one.
//
// Thread safety: each function once, from the main thread. Collective: no.
// Errors: kIoError when the folder cannot be made.
#pragma once

#include <string>

#include "base/filesystem.h"
#include "base/status.h"
#include "base/types.h"

namespace trestle {

// Before anything is logged: errors to stderr, no files.
void StartLogging(const char* program);

// Once the run's folder and the rank are known.
Status LogToFolder(FileSystem& fs, const std::string& run_folder, Rank rank);

}  // namespace trestle
