// What a user may write where a checkpoint is wanted: the checkpoint's folder, a folder of
// checkpoints, or a run's folder. For the latter two it means the newest complete one, by
// (attempt, step); with "/best" behind it the one of the best evaluation, as the newest one's
// manifest says.
//
// Nothing is read but names, and for the best that manifest: whether what is found is good,
// CheckpointReader tells.
//
// Thread safety: pure functions of the filesystem. Collective: none; in a job the leader asks and
// tells the others, since a folder may change between two looks.
// Errors: kNotFound says what is there instead; kIoError.
#pragma once

#include <string>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

// RUN/checkpoints for RUN, else the path itself; without slashes at the end. kNotFound if there is
// no such folder.
Result<std::string> CheckpointsFolder(FileSystem& fs, const std::string& path);

// What an argument of a command that has a config means: "" the newest of `checkpoints`, "best" the
// best there, anything else itself.
std::string CheckpointArgument(const std::string& argument, const std::string& checkpoints);

// The name of the best one of those in the folder, from the newest complete manifest; empty if it
// knows of none. `newest`: its name.
Result<std::string> BestCheckpoint(FileSystem& fs, const std::string& folder, std::string* newest);

// The folder of the checkpoint that `path` means.
Result<std::string> FindCheckpoint(FileSystem& fs, const std::string& path);

}  // namespace trestle
