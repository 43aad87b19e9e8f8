#pragma once

// The collective operations that several parts of a job (job_*.cc) share: their names
// appear in the error when one of them fails or a rank does not come.

#include "comm/communicator.h"

namespace trestle {

inline constexpr Operation kSetUp{Stream::kControl, "setting up"};
// Reading the input may take one rank much longer than another.
inline constexpr Operation kReading{Stream::kControl, "reading input", -1, kLongPhase};
inline constexpr Operation kLoading{Stream::kControl, "loading the checkpoint", -1, kLongPhase};

}  // namespace trestle
