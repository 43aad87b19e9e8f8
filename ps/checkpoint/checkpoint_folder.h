// The checkpoints in a run's folder: their names, which are complete, which may go.
//
//   RUN/checkpoints/step-00012000.3/   training step, and the attempt (start) that wrote it
//   RUN/checkpoints/attempt            the newest attempt's number
//   RUN/checkpoints/first_attempt      that of the start that began anew, if one did
//
// A name is never used twice: every start takes a new attempt, so a late writer of a dead job can
// not touch what a living one wrote. A folder is a checkpoint when it has a MANIFEST.json; order is
// by (attempt, step), since a later attempt begins where an earlier one was resumed.
//
// Thread safety: the leader's main thread. Collective: none. Errors: kIoError, kCorrupt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

struct CheckpointName {
  int64_t step = 0;
  int64_t attempt = 0;
  std::string ToString() const;  // "step-00012000.3"
  // False: not such a name.
  static bool Parse(const std::string& text, CheckpointName* name);
};

struct FoundCheckpoint {
  CheckpointName name;
  std::string path;
  bool complete = false;  // has a manifest; it was not read
};

struct Retention {
  int keep = 3;        // newest
  int keep_every = 0;  // and those whose Manifest::number it divides; 0: none
};

// Oldest first. An empty list if the folder does not exist.
Result<std::vector<FoundCheckpoint>> ListCheckpoints(FileSystem& fs, const std::string& folder);

// The next attempt's number, written down before it is returned. Creates the folder.
Result<int64_t> TakeAttempt(FileSystem& fs, const std::string& folder);

// Writes down that a training begins anew with that attempt: what earlier ones left is another's.
Status BeginAnew(FileSystem& fs, const std::string& folder, int64_t attempt);
// The attempt that the training began with; 0 if none began anew.
Result<int64_t> FirstAttempt(FileSystem& fs, const std::string& folder);

// Removes a checkpoint, whole or not: its manifest first, so that it is none from then on.
Status RemoveCheckpoint(FileSystem& fs, const std::string& path);

// Removes complete checkpoints that `retention` does not keep, and incomplete ones of attempts up
// to `attempt`, the caller's: it must have none in flight. The newest complete one always stays,
// and so does what a kept one names: its base, and the checkpoint of the best evaluation with that
// one's base. Call it only after a new one is complete.
Status RemoveOldCheckpoints(FileSystem& fs, const std::string& folder, const Retention& retention,
                            int64_t attempt);

}  // namespace trestle
