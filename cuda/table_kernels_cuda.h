// TableKernels that run on the GPU. See cuda/table_kernels.h.
#pragma once

#include "cuda/table_kernels.h"

namespace trestle::cuda {

TableKernels& Kernels();  // without state

}  // namespace trestle::cuda
