// The jobs behind the commands `train`, `eval` and `digest`: they build the parts that a config
// names and run them over the ranks of the job. commands.cc reads the command line and the config,
// run.cc does the rest.
//
// Collective: RunTrain and RunEval, over all ranks that mpirun started; PrintDigest is not.
// Errors: printed by these functions, once for the whole job (report_error.h); the status they
// return is for the exit code alone and is the same on every rank where that is possible.
#pragma once

#include <string>

#include "base/status.h"
#include "launcher/config.h"

namespace trestle {

struct RunOptions {
  // Not ok when this rank could not read its config. The ranks agree on it first, so that a mistake
  // that all of them see is printed once, and one that only one of them sees ends them all.
  Result<LoadedConfig> config;
  std::string model_dir;  // `eval --model`; empty: <run folder>/model
};

Status RunTrain(const RunOptions& options);
Status RunEval(const RunOptions& options);

// Prints the digest of the model that `train` wrote to a folder, one line.
Status PrintDigest(const std::string& model_dir);

}  // namespace trestle
