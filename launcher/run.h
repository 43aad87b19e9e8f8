// The jobs behind the commands `train`, `eval` and `predict`: they build the parts that a config
// names and run them over the ranks of the job. commands.cc reads the command line and the config,
// run.cc does the rest.
//
// Collective: all of them, over all ranks that mpirun started.
// Errors: printed by these functions, once for the whole job (report_error.h); the status they
// return is for the exit code alone and is the same on every rank where that is possible.
#pragma once

#include <string>

#include "base/status.h"
#include "launcher/config.h"
#include "launcher/job.h"

namespace trestle {

struct RunOptions {
  // Not ok when this rank could not read its config. The ranks agree on it first, so that a mistake
  // that all of them see is printed once, and one that only one of them sees ends them all.
  Result<LoadedConfig> config;
  StartOptions start;      // train
  std::string checkpoint;  // eval; empty: the newest of the run's folder
  bool importance = false;  // eval
  PredictRequest predict;
};

Status RunTrain(const RunOptions& options);
Status RunEval(const RunOptions& options);
Status RunPredict(const RunOptions& options);

}  // namespace trestle
