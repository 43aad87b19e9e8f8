// Compatibility: whether a run may go on from a checkpoint with another config, other files or
// another machine, and what of it changes the bits.
//
//   may change        ranks, servers, threads, deadlines, folder, epochs, log, evaluation and
//                     checkpoint intervals, limits, evaluation sets, paths of the same files
//   may, is recorded  learning rates and other numbers of an optimizer;
//                     the schedule of the rates, and epochs where it ends with them; the loss
//   --allow-divergence, is recorded
//                     batch, lanes and order, between two epochs; how new rows start; instruction
//                     set
//   --allow-new       more features, tables or layers, with fresh rows and parameters; not where a
//                     layer that is there gets wider by it, as the first one of an MLP does
//   may not           widths, optimizers, seeds, bounds and hash buckets, which losses count how
//                     much, files (but for --next-segment)
//
// Thread safety: pure functions. Errors: kInvalidConfig lists every difference that is refused, a
// line each, with the cure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/config.h"
#include "launcher/job_plan.h"
#include "ps/checkpoint/manifest.pb.h"
#include "worker/input.h"

namespace trestle {

struct ResumeFlags {
  bool allow_divergence = false;
  bool allow_new = false;
};

// What changes the bits from here on: "step 1200: batch.lanes: 16 -> 32". `instruction_set` is this
// job's.
Result<std::vector<std::string>> CheckCompatible(const Manifest& checkpoint,
                                                 const LoadedConfig& loaded, const JobPlan& plan,
                                                 const std::string& instruction_set,
                                                 const ResumeFlags& flags);

// Whether the model can be evaluated with this config: the same features, model, tables and
// negative_keep.
Status CheckModel(const Manifest& checkpoint, const LoadedConfig& loaded, const JobPlan& plan);

// Whether these are the files that the checkpoint's segment reads.
Status CheckInputs(const Manifest& checkpoint, const std::vector<InputFile>& files);

}  // namespace trestle
