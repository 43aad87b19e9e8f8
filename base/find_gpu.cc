#include "base/find_gpu.h"

#include <cstdio>

namespace trestle {
namespace {

std::string VersionText(int version) {  // 13020 is 13.2
  std::string text = std::to_string(version / 1000);
  return text.append(".").append(std::to_string(version % 1000 / 10));
}

Status CheckDriver(const GpuRuntime& runtime) {
  const int driver = runtime.DriverVersion();
  const int needed = runtime.RuntimeVersion();
  if (driver == 0) {
    return NoGpu("there is no NVIDIA driver", "install one that knows CUDA " + VersionText(needed));
  }
  if (driver / 1000 < needed / 1000) {
    return NoGpu("the NVIDIA driver is too old: it knows CUDA " + VersionText(driver) +
                     ", the plugin needs " + VersionText(needed / 1000 * 1000),
                 "update the driver");
  }
  return {};
}

// Nothing says that a device works like using it.
Status Try(GpuRuntime& runtime, int device) {
  TRESTLE_RETURN_IF_ERROR(runtime.Use(device));
  TRESTLE_ASSIGN_OR_RETURN(void* const memory, runtime.Allocate(1));
  return runtime.Free(memory);
}

Status CheckDevice(GpuRuntime& runtime, const GpuDevice& device) {
  if (device.major * 10 + device.minor < kLeastCapability) {
    return NoGpu("the GPU is too old: " + GpuText(device) + ", the plugin needs sm_" +
                     std::to_string(kLeastCapability),
                 "name another in CUDA_VISIBLE_DEVICES");
  }
  const Status tried = Try(runtime, device.index);
  if (tried.ok()) return {};
  return NoGpu("the GPU does not work: " + GpuText(device) + ": " + tried.ToString(),
               "name another in CUDA_VISIBLE_DEVICES");
}

}  // namespace

Status NoGpu(const std::string& what, const std::string& cure) {
  return {StatusCode::kUnsupported, what + "; set cluster.device: CPU, or " + cure};
}

std::string GpuText(const GpuDevice& device) {
  constexpr double kGiB = 1 << 30;
  char memory[32];
  std::snprintf(memory, sizeof(memory), "%.1f GiB",
                static_cast<double>(device.memory_bytes) / kGiB);
  std::string text = "GPU ";
  text.append(std::to_string(device.index)).append(", ").append(device.name);
  text.append(" (sm_").append(std::to_string(device.major * 10 + device.minor));
  return text.append(", ").append(memory).append(")");
}

Result<GpuDevice> FindGpu(GpuRuntime& runtime, int preferred) {
  TRESTLE_RETURN_IF_ERROR(CheckDriver(runtime));
  TRESTLE_ASSIGN_OR_RETURN(const int devices, runtime.DeviceCount());
  if (devices == 0) {
    return NoGpu("the NVIDIA driver finds no GPU",
                 "look at what nvidia-smi lists and CUDA_VISIBLE_DEVICES leaves");
  }
  Status first_refusal;
  for (int i = 0; i < devices; ++i) {
    TRESTLE_ASSIGN_OR_RETURN(const GpuDevice device, runtime.Properties((preferred + i) % devices));
    const Status works = CheckDevice(runtime, device);
    if (works.ok()) return device;
    if (first_refusal.ok()) first_refusal = works;
  }
  return first_refusal;
}

}  // namespace trestle
