// The plot of `trestle bench scaling`: speed-up over ranks against the ideal, as an SVG file that a
// browser opens. (A few shapes and labels: not worth a library.)
//
// Thread safety: pure function. Collective: no.
#pragma once

#include <string>

#include "launcher/bench/scaling_report.h"

namespace trestle {

std::string ScalingSvg(const ScalingReport& report);

}  // namespace trestle
