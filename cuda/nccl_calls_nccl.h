// NcclCalls of the NCCL that the plugin is linked to. See cuda/nccl_calls.h.
#pragma once

#include "cuda/nccl_calls.h"

namespace trestle::cuda {

NcclCalls& Nccl();  // without state

}  // namespace trestle::cuda
