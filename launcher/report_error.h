// How an error reaches the user: "trestle: error: <what>", one line for each thing that is wrong.
//
// Thread safety: pure, but for the stream. Collective: no; the caller decides which rank prints.
#pragma once

#include <ostream>
#include <string>

#include "base/status.h"

namespace trestle {

// The lines of a status, each "trestle: error: ..." and with a newline. A status whose innermost
// message has several lines (a config's mistakes) gives each the context that was wrapped around
// it.
[[nodiscard]] std::string ErrorText(const Status& status);

// Writes ErrorText at once, so that lines of several processes do not mix. Requires !status.ok().
void ReportError(const Status& status, std::ostream& out);

}  // namespace trestle
