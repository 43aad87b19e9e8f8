// Sums over a manifest that several commands tell, and how its path is opened.
//
// Thread safety: pure functions of the filesystem.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"
#include "ps/checkpoint/checkpoint_reader.h"

namespace trestle {

int64_t RowsOf(const Manifest& manifest);        // of the model, all tables
int64_t BytesOf(const Manifest& manifest);       // of the files it lists, a delta's own only
std::string KindText(const Manifest& manifest);  // "full", "delta of step-00010000.3"

// FindCheckpoint, then CheckpointReader::Open.
Result<std::unique_ptr<CheckpointReader>> OpenCheckpoint(FileSystem& fs, const std::string& path);

}  // namespace trestle
