// A GPU plugin for tests of the whole program: its GPU is what TRESTLE_FAKE_GPU says.
#include <cstdlib>
#include <string>

#include "base/plugin.h"
#include "tests/support/fake_gpu.h"

namespace trestle {
namespace {

GpuPlugin* Plugin() {
  static FakePlugin plugin;
  const char* const given = std::getenv("TRESTLE_FAKE_GPU");
  const std::string kind = given == nullptr ? "" : given;
  if (kind == "no driver") plugin.gpu.driver = 0;
  if (kind == "old driver") plugin.gpu.driver = 12020;
  if (kind == "no device") plugin.gpu.devices.clear();
  if (kind == "old device") plugin.gpu.devices = {FakeGpu::Device(0, "Fake V100", 7, 0)};
  if (kind == "broken device") plugin.gpu.failing = "taking";
  plugin.missing = {"tables in training", "the network", "the exchange"};
  return &plugin;
}

const PluginEntry kEntry = {kPluginMagic, TRESTLE_PLUGIN_BUILD, &Plugin};

}  // namespace
}  // namespace trestle

extern "C" __attribute__((visibility("default"))) const trestle::PluginEntry* trestle_gpu_plugin() {
  return &trestle::kEntry;
}
