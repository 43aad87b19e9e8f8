#include "backend/vector_math.h"

#define KERNEL_NAMESPACE avx2
#include "backend/vector_math_kernels.inc"
