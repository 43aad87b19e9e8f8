// FindGpu: whether this machine has a GPU that works for us, which, and if not why, in one line
// that ends with what to do.
//
// Thread safety: as GpuRuntime. Device: host. Collective: no (launcher/device.h is).
// Errors: kUnsupported: no driver, a driver older than the runtime, no device, none of sm_80 or
// later, none that answers.
// Source: CUDA's minor version compatibility: a runtime of 13.x runs on any driver of 13.0 or
// later.
#pragma once

#include <string>

#include "base/gpu_runtime.h"
#include "base/status.h"

namespace trestle {

inline constexpr int kLeastCapability = 80;  // sm_80, what the plugin is compiled for at least

// The first that works of devices preferred, preferred + 1, ... (modulo their number), so that
// ranks of one host spread over its GPUs. It was used: a context is there and memory could be
// taken.
Result<GpuDevice> FindGpu(GpuRuntime& runtime, int preferred);

// "GPU 0, NVIDIA H100 80GB HBM3 (sm_90, 79.1 GiB)".
[[nodiscard]] std::string GpuText(const GpuDevice& device);

// What stands in the way of a GPU, with both cures: the CPU, or `cure`.
[[nodiscard]] Status NoGpu(const std::string& what, const std::string& cure);

}  // namespace trestle
