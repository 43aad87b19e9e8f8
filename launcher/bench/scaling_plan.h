// ScalingPlan: the training of each size that `trestle bench scaling` runs: the user's config
// without what does not belong to training's speed (evaluations, checkpoints on the way), in a run
// folder of the size's own.
//
// Strong scaling gives every size the same config, hence the same rows and the same bits. Weak
// scaling gives a rank the same work at every size: batch and lanes grow with the ranks, and
// training ends after equally many steps at every size, those that the largest needs for its rows.
//
// Thread safety: pure functions. Collective: no. Errors: kInvalidConfig.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/config.h"

namespace trestle {

struct ScalingArguments {
  std::string config;
  std::vector<std::string> set;
  std::vector<int> np;  // ranks of each size
  std::string hosts;    // mpirun's hostfile; empty: this machine, or what Slurm gave
  bool weak = false;
  std::string output;               // folder; empty: "<checkpoint.dir>-scaling"
  std::vector<std::string> mpirun;  // more arguments for it
};

struct ScalingPlan {
  Config config;  // of the smallest size where they differ
  std::string output;
  std::vector<int> sizes;  // ascending, each once
};

// Checks the config of every size.
Result<ScalingPlan> MakeScalingPlan(const ScalingArguments& arguments);

// Of one size; `steps` limits it if it is above 0.
Config ConfigOfSize(const ScalingPlan& plan, bool weak, int ranks, int64_t steps);
std::string FolderOfSize(const ScalingPlan& plan, int ranks);
// What all sizes have in common, for a person.
std::string HeldConstant(const ScalingPlan& plan, bool weak);

}  // namespace trestle
