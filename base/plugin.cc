#include "base/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

#include "base/find_gpu.h"

namespace trestle {
namespace {

Status NotThere(const std::string& folder) {
  if (BuiltWithCuda().empty()) {
    return NoGpu("this build has no CUDA: there was no nvcc or no NCCL, or TRESTLE_CUDA was OFF",
                 "build it where the CUDA toolkit is, with -DTRESTLE_CUDA=ON");
  }
  return NoGpu("the GPU plugin is missing: there is no " + folder + "/" + kPluginFile,
               "name its folder in TRESTLE_PLUGIN_PATH");
}

}  // namespace

std::string PluginBuild() { return TRESTLE_PLUGIN_BUILD; }
std::string BuiltWithCuda() { return TRESTLE_CUDA_VERSION; }

std::string PluginFolder() {
  if (const char* const given = std::getenv("TRESTLE_PLUGIN_PATH"); given && *given) return given;
  Dl_info info = {};
  if (::dladdr(reinterpret_cast<const void*>(&PluginBuild), &info) == 0) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

Result<GpuPlugin*> LoadGpuPlugin(const std::string& folder) {
  const std::string path = folder + "/" + kPluginFile;
  if (::access(path.c_str(), F_OK) != 0) return NotThere(folder);
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return NoGpu("the GPU plugin cannot be loaded: " + std::string(::dlerror()),
                 "put the folders of the CUDA runtime's and NCCL's libraries into "
                 "LD_LIBRARY_PATH");
  }
  using Entry = const PluginEntry* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(library, kPluginSymbol));
  const PluginEntry* const found = entry == nullptr ? nullptr : entry();
  if (found == nullptr || found->magic != kPluginMagic) {
    return NoGpu(path + " is not a GPU plugin of Trestle", "put Trestle's own there");
  }
  if (PluginBuild() != found->build) {
    return NoGpu("the GPU plugin is of another version: " + path + " is " + found->build +
                     ", this is " + PluginBuild(),
                 "install both from one build");
  }
  return found->plugin();
}

}  // namespace trestle
