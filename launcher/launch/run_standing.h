// RunStanding: how far a run has come, from what is in its folder: the newest complete checkpoint
// and the last step that metrics.jsonl tells of. What lies between is lost when the run dies.
//
// Thread safety: pure function of the filesystem. Collective: none. Errors: kIoError.
#pragma once

#include <cstdint>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

struct RunStanding {
  std::string checkpoint;       // its name; empty: none yet
  int64_t checkpoint_step = 0;  // 0 without one
  // Of the newest start, as far as it was logged; never below checkpoint_step.
  int64_t last_step = 0;

  [[nodiscard]] int64_t lost() const { return last_step - checkpoint_step; }
};

// A folder that does not exist yet is a run that stands at its beginning.
Result<RunStanding> ReadRunStanding(FileSystem& fs, const std::string& run_folder,
                                    const std::string& checkpoints);

}  // namespace trestle
