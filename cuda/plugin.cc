// The one symbol of libtrestle_cuda.so that the core looks for (base/plugin.h).
#include "base/plugin.h"

#include "cuda/nccl_calls_nccl.h"
#include "cuda/runtime_cuda.h"
#include "cuda/table_kernels_cuda.h"

namespace trestle::cuda {
namespace {

std::string Numbers(int major, int minor) {
  return std::to_string(major).append(".").append(std::to_string(minor));
}

class CudaPlugin final : public CudaParts {
 public:
  std::string Libraries() const override {
    const int cuda = Runtime().RuntimeVersion();
    const int nccl = Nccl().Version();
    std::string text = "CUDA runtime " + Numbers(cuda / 1000, cuda % 1000 / 10);
    text.append(", NCCL ").append(Numbers(nccl / 10000, nccl / 100 % 100));
    return text;
  }
  GpuRuntime& runtime() override { return Runtime(); }
  TableKernels& table_kernels() override { return Kernels(); }
  std::vector<std::string> MissingParts() const override {
    return {"tables in training", "the network", "the exchange"};
  }
};

GpuPlugin* Plugin() {
  static CudaPlugin plugin;
  return &plugin;
}

constexpr PluginEntry kEntry = {kPluginMagic, TRESTLE_PLUGIN_BUILD, &Plugin};

}  // namespace
}  // namespace trestle::cuda

extern "C" __attribute__((visibility("default"))) const trestle::PluginEntry* trestle_gpu_plugin() {
  return &trestle::cuda::kEntry;
}
