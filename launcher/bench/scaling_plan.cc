#include "launcher/bench/scaling_plan.h"

#include <algorithm>

#include "base/fixed_point.h"
#include "launcher/job_plan.h"

namespace trestle {
namespace {

void KeepTrainingAlone(Config* config) {
  config->mutable_data()->clear_test();
  config->clear_eval();
  Train* const train = config->mutable_train();
  train->clear_eval_every_steps();
  train->clear_patience();
  train->clear_keep_best();
  train->clear_max_minutes();  // the clock must not decide how many rows a size gets
  Checkpoint* const checkpoint = config->mutable_checkpoint();
  checkpoint->clear_every_steps();
  checkpoint->clear_every_minutes();
  checkpoint->clear_store();
}

}  // namespace

Result<ScalingPlan> MakeScalingPlan(const ScalingArguments& arguments) {
  TRESTLE_ASSIGN_OR_RETURN(LoadedConfig loaded, LoadConfig(arguments.config, arguments.set));
  ScalingPlan plan;
  plan.sizes = arguments.np;
  std::sort(plan.sizes.begin(), plan.sizes.end());
  plan.sizes.erase(std::unique(plan.sizes.begin(), plan.sizes.end()), plan.sizes.end());
  plan.config = loaded.config;
  KeepTrainingAlone(&plan.config);
  plan.output =
      arguments.output.empty() ? loaded.config.checkpoint().dir() + "-scaling" : arguments.output;
  for (const int ranks : plan.sizes) {
    if (loaded.config.cluster().servers() >= ranks) {
      return Status(StatusCode::kInvalidConfig,
                    loaded.Place("cluster.servers") +
                        ": bench scaling: " + std::to_string(loaded.config.cluster().servers()) +
                        " servers leave no worker of " + std::to_string(ranks) +
                        " ranks; leave the size out of --np");
    }
    const Config config = ConfigOfSize(plan, arguments.weak, ranks, 0);
    if (config.batch().lanes() > kMaxLanes) {
      return Status(
          StatusCode::kInvalidConfig,
          loaded.Place("batch.lanes") + ": bench scaling: --weak at " + std::to_string(ranks) +
              " ranks makes it " + std::to_string(config.batch().lanes()) + "; allowed: 1 to " +
              std::to_string(kMaxLanes) + ". Take fewer lanes, which are those of a rank");
    }
    loaded.config = config;
    TRESTLE_RETURN_IF_ERROR(MakeJobPlan(loaded).status());
  }
  return plan;
}

Config ConfigOfSize(const ScalingPlan& plan, bool weak, int ranks, int64_t steps) {
  Config config = plan.config;
  config.mutable_checkpoint()->set_dir(FolderOfSize(plan, ranks));
  if (!weak) return config;
  const int workers = ranks - config.cluster().servers();
  config.mutable_batch()->set_rows(config.batch().rows() * workers);
  config.mutable_batch()->set_lanes(config.batch().lanes() * workers);
  if (steps > 0) config.mutable_train()->set_max_steps(steps);
  return config;
}

std::string FolderOfSize(const ScalingPlan& plan, int ranks) {
  return plan.output + "/np-" + std::to_string(ranks);
}

std::string HeldConstant(const ScalingPlan& plan, bool weak) {
  const std::string batch = std::to_string(plan.config.batch().rows()) + " rows in " +
                            std::to_string(plan.config.batch().lanes()) + " lanes";
  if (weak) return "a worker's part of a step (" + batch + ") and the number of steps";
  return "the rows and the global batch (" + batch + ")";
}

}  // namespace trestle
