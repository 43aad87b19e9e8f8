// Whether a person at a terminal reads what the job prints.
//
// A rank under mpirun always writes to a terminal, a pseudo-terminal that mpirun reads; what counts
// is where mpirun itself writes to. A rank that mpirun did not start itself (on another host) has a
// daemon as its parent, which has no terminal: it prints plain lines.
//
// Thread safety: safe. Collective: no.
#pragma once

namespace trestle {

[[nodiscard]] bool PrintsToTerminal();

}  // namespace trestle
