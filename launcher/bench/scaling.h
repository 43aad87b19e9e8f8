// `trestle bench scaling`: how a training job scales on this cluster. It runs the job at each size
// under mpirun, one after the other, and tells what came of it: a table, scaling.json and
// scaling.svg in the output folder. A size that fails is one line on stderr, and the others go on,
// unless the failure is one that every size would meet.
//
// Thread safety: the main thread of a process without others, since signals are for the process.
// Collective: no. Errors: printed; the returned number is the process's exit code: that of the
// first size that failed, kMismatch if digests differ, kInterrupted after a signal, when nothing
// that was started is left.
#pragma once

#include <string>

#include "base/filesystem.h"
#include "launcher/bench/scaling_plan.h"

namespace trestle {

[[nodiscard]] int BenchScaling(FileSystem& fs, const ScalingArguments& arguments,
                               const std::string& program);

}  // namespace trestle
