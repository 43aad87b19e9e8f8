// RunSize: one size of `trestle bench scaling`: mpirun with `trestle train`, as a child of its own.
// What it prints goes to output.txt in its run folder, beside metrics.jsonl and the config that it
// ran with; the model that it writes at its end is removed, since nobody asked for it.
//
// Thread safety: the thread of the SignalQueue. Collective: no. Errors: kInterrupted after a signal
// that stops; for a child that failed one line with the size, what died, its own last error and
// where the whole output is: with the child's own code if it is one of ours, kUnsupported if it is
// mpirun that cannot do what was asked, else kPeerFailed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "launcher/bench/scaling_plan.h"
#include "launcher/bench/scaling_point.h"
#include "launcher/launch/signal_queue.h"

namespace trestle {

// `steps` as in ConfigOfSize. `program` is that of this process.
Result<ScalingPoint> RunSize(FileSystem& fs, const ScalingPlan& plan,
                             const ScalingArguments& arguments, const std::string& program,
                             int ranks, int64_t steps, SignalQueue& signals);

}  // namespace trestle
