#include "cuda/table_kernels_cuda.h"

#include <cooperative_groups.h>
#include <cuda_runtime_api.h>

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>
#include <string>

#include "cuda/table_layout.h"

namespace trestle::cuda {
namespace {

namespace cg = cooperative_groups;

// A window's worth of threads of one warp.
class WarpTile {
 public:
  using Threads = cg::thread_block_tile<kWindow>;
  __device__ explicit WarpTile(const Threads& threads) : threads_(threads) {}

  __device__ static int size() { return kWindow; }
  __device__ int rank() const { return static_cast<int>(threads_.thread_rank()); }

  template <class Test>
  __device__ uint32_t Where(const Test& test) const {
    return threads_.ballot(test(rank()));
  }
  // Past the first-level cache, which does not see what other multiprocessors claim.
  __device__ uint64_t Load(const uint64_t* slot) const {
    return __ldcg(reinterpret_cast<const unsigned long long*>(slot));
  }
  __device__ bool Claim(uint64_t* slot, uint64_t from, uint64_t to) const {
    int claimed = 0;
    if (rank() == 0) {
      claimed = atomicCAS(reinterpret_cast<unsigned long long*>(slot), from, to) == from ? 1 : 0;
    }
    return threads_.shfl(claimed, 0) != 0;
  }
  __device__ void Add(uint64_t* sum, uint64_t value) const {
    atomicAdd(reinterpret_cast<unsigned long long*>(sum), value);
  }
  __device__ void Or(uint64_t* word, uint64_t bits) const {
    atomicOr(reinterpret_cast<unsigned long long*>(word), bits);
  }
  template <class Body>
  __device__ void Lead(const Body& body) const {
    if (rank() == 0) body();
    threads_.sync();
  }

 private:
  const Threads& threads_;
};

// A tile an element, and on with a stride.
template <class Step>
__global__ void RunTiles(const Step step, int64_t n) {
  const auto threads = cg::tiled_partition<kWindow>(cg::this_thread_block());
  const WarpTile tile(threads);
  const int64_t tiles = int64_t{gridDim.x} * (blockDim.x / kWindow);
  const int64_t first = int64_t{blockIdx.x} * (blockDim.x / kWindow) + threads.meta_group_rank();
  for (int64_t i = first; i < n; i += tiles) step(tile, i);
}

Status Outcome(cudaError_t error, const std::string& what, GpuStream stream) {
  if (error == cudaSuccess) return {};
  static_cast<void>(cudaGetLastError());
  return {StatusCode::kInternal, "CUDA: " + what + ", stream " +
                                     std::to_string(reinterpret_cast<uintptr_t>(stream.handle)) +
                                     ": " + cudaGetErrorString(error) + " (" +
                                     cudaGetErrorName(error) + ")"};
}

cudaStream_t Native(GpuStream stream) { return static_cast<cudaStream_t>(stream.handle); }

int Multiprocessors() {
  int device = 0, count = 1;
  if (cudaGetDevice(&device) != cudaSuccess) return 1;
  const cudaError_t asked = cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  return asked == cudaSuccess ? count : 1;
}

class CudaKernels final : public TableKernels {
 public:
  Status Run(const TableStep& step, int64_t n, GpuStream stream) override {
    if (n == 0) return {};
    const LaunchShape shape = ShapeFor(n, kWindow, Multiprocessors());
    std::visit(
        [&](const auto& one) {
          RunTiles<<<shape.blocks, shape.threads, 0, Native(stream)>>>(one, n);
        },
        step);
    return Outcome(
        cudaGetLastError(),
        "launching step " + std::to_string(step.index()) + " on " + std::to_string(n) + " elements",
        stream);
  }

  Result<int64_t> ScanBytes(int64_t n) override {
    size_t bytes = 0;
    const uint32_t* const in = nullptr;
    uint32_t* const out = nullptr;
    TRESTLE_RETURN_IF_ERROR(
        Outcome(cub::DeviceScan::ExclusiveSum(nullptr, bytes, in, out, n), "sizing a scan", {}));
    return static_cast<int64_t>(bytes);
  }

  Status Scan(const uint32_t* in, uint32_t* out, int64_t n, void* scratch, int64_t scratch_bytes,
              GpuStream stream) override {
    auto bytes = static_cast<size_t>(scratch_bytes);
    return Outcome(cub::DeviceScan::ExclusiveSum(scratch, bytes, in, out, n, Native(stream)),
                   "scanning", stream);
  }

  Result<int64_t> SortBytes(int64_t n) override {
    size_t bytes = 0;
    const uint64_t* const keys = nullptr;
    const uint32_t* const values = nullptr;
    TRESTLE_RETURN_IF_ERROR(Outcome(
        cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, static_cast<uint64_t*>(nullptr),
                                        values, static_cast<uint32_t*>(nullptr), n),
        "sizing a sort", {}));
    return static_cast<int64_t>(bytes);
  }

  Status Sort(const uint64_t* keys, uint64_t* sorted_keys, const uint32_t* values,
              uint32_t* sorted_values, int64_t n, void* scratch, int64_t scratch_bytes,
              GpuStream stream) override {
    auto bytes = static_cast<size_t>(scratch_bytes);
    return Outcome(cub::DeviceRadixSort::SortPairs(scratch, bytes, keys, sorted_keys, values,
                                                   sorted_values, n, 0, 64, Native(stream)),
                   "sorting", stream);
  }
};

}  // namespace

TableKernels& Kernels() {
  static CudaKernels kernels;
  return kernels;
}

}  // namespace trestle::cuda
