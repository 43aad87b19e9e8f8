// TableKernels: runs the steps of cuda/table_steps.h over the elements of a call, and the
// primitives that CUB has. In the plugin these are kernels (cuda/table_kernels_cuda.cu); in tests,
// loops on the host (tests/support/host_kernels.h).
//
// Thread safety: one thread a stream. Ownership: all memory is the caller's and stays until the
// stream has done the step. Device: the pointers in a step are of the device.
// Errors: kInternal; a launch that CUDA refused, with the step's name and the stream.
#pragma once

#include <cstdint>
#include <variant>

#include "base/gpu_runtime.h"
#include "base/plugin.h"
#include "base/status.h"
#include "cuda/table_steps.h"

namespace trestle::cuda {

using TableStep =
    std::variant<FindRows, Reindex, PoolRows, AddGradients, WriteRows, ReadCounters,
                 CreateRows<embedding::ConstantInit>, CreateRows<embedding::UniformInit>,
                 CreateRows<embedding::NormalInit>, CreateRows<embedding::TruncatedNormalInit>,
                 GatherRows<embedding::ConstantInit>, GatherRows<embedding::UniformInit>,
                 GatherRows<embedding::NormalInit>, GatherRows<embedding::TruncatedNormalInit>,
                 UpdateRows<embedding::SgdRow>, UpdateRows<embedding::MomentumRow>,
                 UpdateRows<embedding::AdagradRow>, UpdateRows<embedding::RowwiseAdagradRow>,
                 UpdateRows<embedding::RmsPropRow>, UpdateRows<embedding::AdamRow>,
                 UpdateRows<embedding::FtrlRow>>;

class TableKernels {
 public:
  virtual ~TableKernels() = default;

  // step(tile, i) for all i of [0, n), in any order.
  virtual Status Run(const TableStep& step, int64_t n, GpuStream stream) = 0;

  // out[i] is in[0] + ... + in[i - 1], for i of [0, n). Scratch: ScanBytes(n) bytes of the device.
  virtual Result<int64_t> ScanBytes(int64_t n) = 0;
  virtual Status Scan(const uint32_t* in, uint32_t* out, int64_t n, void* scratch,
                      int64_t scratch_bytes, GpuStream stream) = 0;

  // Sorts n keys, and the values beside them likewise; equal keys keep their order. Scratch:
  // SortBytes(n).
  virtual Result<int64_t> SortBytes(int64_t n) = 0;
  virtual Status Sort(const uint64_t* keys, uint64_t* sorted_keys, const uint32_t* values,
                      uint32_t* sorted_values, int64_t n, void* scratch, int64_t scratch_bytes,
                      GpuStream stream) = 0;
};

// What the plugin offers beyond base/plugin.h to those who know its room: its own tests.
class CudaParts : public GpuPlugin {
 public:
  virtual TableKernels& table_kernels() = 0;
};

}  // namespace trestle::cuda
