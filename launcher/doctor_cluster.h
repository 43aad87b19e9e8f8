// `mpirun ... trestle doctor DIR`: what only the ranks together can find, and what each host has of
// its own that is not ok.
//
// Collective: over all ranks. Thread safety: one thread. Errors: those of communication; whatever
// is wrong with a host or the folder is a finding.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "comm/communicator.h"
#include "launcher/doctor.h"

namespace trestle {

// The same on every rank. `folder` is looked for on every host as the first rank sees it: a file is
// put there, locked, and removed.
Result<std::vector<Finding>> ExamineCluster(Communicator& comm, const Machine& machine,
                                            const std::string& folder);

}  // namespace trestle
