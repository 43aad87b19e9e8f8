#include "launcher/device.h"

#include "base/find_gpu.h"

namespace trestle {
namespace {

constexpr Operation kChoosing{Stream::kControl, "choosing a device"};

// "tables, the network and the exchange".
std::string Listed(const std::vector<std::string>& parts) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += i + 1 == parts.size() ? " and " : ", ";
    text += parts[i];
  }
  return text;
}

// Which of its host's ranks this one is, from 0.
int PlaceOnHost(const std::vector<std::string>& hosts, Rank rank) {
  int place = 0;
  for (int r = 0; r < rank.value; ++r) {
    place += hosts[static_cast<size_t>(r)] == hosts[static_cast<size_t>(rank.value)];
  }
  return place;
}

}  // namespace

Result<GpuDevice> FindTrainingGpu(const PluginLoader& load, int preferred) {
  TRESTLE_ASSIGN_OR_RETURN(GpuPlugin* const plugin, load());
  TRESTLE_ASSIGN_OR_RETURN(const GpuDevice device, FindGpu(plugin->runtime(), preferred));
  const std::vector<std::string> missing = plugin->MissingParts();
  if (missing.empty()) return device;
  return Status(StatusCode::kUnsupported,
                GpuText(device) +
                    " is there, but this version cannot train on it: on GPUs it lacks " +
                    Listed(missing) + "; set cluster.device: CPU");
}

Result<ChosenDevice> ChooseDevice(Communicator& comm, DeviceChoice choice,
                                  const std::vector<std::string>& hosts, const PluginLoader& load) {
  ChosenDevice chosen;
  if (choice == CPU) return chosen;
  const auto found = FindTrainingGpu(load, PlaceOnHost(hosts, comm.rank()));
  if (choice == GPU) {
    TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm, kChoosing, found.status()));
    chosen.gpu = *found;
    return chosen;
  }
  // A job on both kinds of devices would have bits of its own: all ranks take the CPU then.
  TRESTLE_ASSIGN_OR_RETURN(
      const auto reasons,
      comm.AllGather(kChoosing, found.ok() ? "" : found.status().root_message()));
  for (size_t r = 0; r < reasons.size(); ++r) {
    if (reasons[r].empty()) continue;
    chosen.why_cpu = "rank " + std::to_string(r) + ": " + reasons[r];
    return chosen;
  }
  chosen.gpu = *found;
  return chosen;
}

}  // namespace trestle
