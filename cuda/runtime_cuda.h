// GpuRuntime of the CUDA runtime that the plugin is linked to. See base/gpu_runtime.h.
#pragma once

#include "base/gpu_runtime.h"

namespace trestle::cuda {

GpuRuntime& Runtime();  // without state

}  // namespace trestle::cuda
