// The one place that spells how a function is compiled for host and device. Row arithmetic
// (initializers, optimizers, hashes) is written once with these marks; g++ sees plain inline
// functions, nvcc both.
//
// Source: the idea of one macro header and one functor for several drivers is stdgpu's.
#pragma once

#if defined(__CUDACC__)
#define TRESTLE_HD __host__ __device__
#else
#define TRESTLE_HD
#endif
