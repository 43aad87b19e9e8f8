// The command line: which command, with which arguments, and the exit code of what it did
// (docs/errors.md).
//
// Thread safety: once, from the main thread. Collective: `train` and `eval` are, see run.h.
// Errors: printed on stderr; a wrong command line is one line that names the argument and the
// nearest that exists, exit code 2.
#pragma once

namespace trestle {

[[nodiscard]] int RunCommandLine(int argc, const char* const* argv);

}  // namespace trestle
