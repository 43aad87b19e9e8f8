// The initializers and optimizers that a row may have, as variants: what a table chooses from once,
// and what kernels are compiled for. Without messages, so that device code can include it.
//
// Thread safety: immutable values. Device: the functors are host and device, the choice is host.
#pragma once

#include <variant>

#include "embedding/initializers.h"
#include "embedding/optimizers.h"

namespace trestle::embedding {

using RowInitializer = std::variant<ConstantInit, UniformInit, NormalInit, TruncatedNormalInit>;
using RowOptimizer =
    std::variant<SgdRow, MomentumRow, AdagradRow, RowwiseAdagradRow, RmsPropRow, AdamRow, FtrlRow>;

}  // namespace trestle::embedding
