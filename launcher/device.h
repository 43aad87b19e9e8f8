// What a run computes on: cluster.device, as all ranks decide together at the start.
//
// Thread safety: one thread. Collective: ChooseDevice, over all ranks of the communicator.
// Errors: kUnsupported on all ranks where `GPU` is asked for and a rank has none that works, or the
// plugin has not all that training takes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/gpu_runtime.h"
#include "base/plugin.h"
#include "base/status.h"
#include "comm/communicator.h"
#include "ps/cluster.pb.h"

namespace trestle {

using PluginLoader = std::function<Result<GpuPlugin*>()>;

struct ChosenDevice {
  std::optional<GpuDevice> gpu;  // this rank's; none: the CPU
  std::string why_cpu;           // of AUTO, what stood in the way, with the rank; else empty
};

// `hosts` as of GatherHosts: the ranks of a host take its GPUs in turn. The plugin is loaded only
// where a GPU is asked for.
Result<ChosenDevice> ChooseDevice(Communicator& comm, DeviceChoice choice,
                                  const std::vector<std::string>& hosts, const PluginLoader& load);

// The GPU that a rank could train on, `preferred` as of FindGpu.
Result<GpuDevice> FindTrainingGpu(const PluginLoader& load, int preferred);

}  // namespace trestle
