// Ctrl-C and friends. SIGINT and SIGTERM ask the run to stop at its next step boundary; a second
// SIGINT ends the process at once with code 130. SIGPIPE is ignored, so that a reader that goes
// away
// (`trestle train ... | head`) is an error of the write and not the end of a rank.
//
// Thread safety: StopRequested may be called by any thread, a flag is all that a handler touches.
// That flag is the one piece of process-wide state here: a signal handler can reach nothing else.
#pragma once

namespace trestle {

// Call once, before MPI starts (its threads inherit the dispositions).
void InstallSignalHandlers();

// Whether SIGINT or SIGTERM came since the start.
[[nodiscard]] bool StopRequested();

}  // namespace trestle
