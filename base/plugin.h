// The GPU plugin: libtrestle_cuda.so, linked to libtrestle.so and loaded when a run asks for a GPU.
// The core knows it by this header alone and never links it, so that one program runs on machines
// with and without CUDA.
//
// A plugin exports one C function, named by kPluginSymbol, that returns a PluginEntry. Its first
// two fields are plain data and are compared before anything else of it is touched: the rest are
// C++ interfaces, which fit only if both were made from the same sources by the same compiler.
// TRESTLE_PLUGIN_BUILD (cmake/Plugin.cmake) says so in words, and holds a hash of the headers that
// both sides see.
//
// Thread safety: Load from one thread at a time; what it returns as GpuRuntime says.
// Ownership: a plugin that was loaded stays until the process ends. Collective: no.
// Errors: kUnsupported in all cases; the message names the file and the cure (docs/errors.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/gpu_runtime.h"
#include "base/status.h"

namespace trestle {

inline constexpr char kPluginFile[] = "libtrestle_cuda.so";
inline constexpr char kPluginSymbol[] = "trestle_gpu_plugin";
inline constexpr uint64_t kPluginMagic = 0x5452'4553'544C'4501;  // "TRESTLE", 1

class GpuPlugin {
 public:
  virtual ~GpuPlugin() = default;
  // "CUDA runtime 13.0, NCCL 2.28.3".
  virtual std::string Libraries() const = 0;
  virtual GpuRuntime& runtime() = 0;
  // What training on a GPU takes and this plugin has not, in words. Empty: it can train.
  virtual std::vector<std::string> MissingParts() const = 0;
};

struct PluginEntry {
  uint64_t magic;
  const char* build;
  GpuPlugin* (*plugin)();  // the only one; never null, never destroyed
};

// What this library was built as: "0.1.0 (GNU 12.2.0, x86-64-v3, Release, interface 81a0f3...)".
[[nodiscard]] std::string PluginBuild();
// Whether the plugin was built beside this library: "13.0", the toolkit's version; else empty.
[[nodiscard]] std::string BuiltWithCuda();

// The folder that plugins are looked for in: that of TRESTLE_PLUGIN_PATH, else of libtrestle.so.
[[nodiscard]] std::string PluginFolder();

Result<GpuPlugin*> LoadGpuPlugin(const std::string& folder);

}  // namespace trestle
