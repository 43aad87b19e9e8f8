// cluster.device: what is said of each thing that can stand in the way of a GPU, and that all ranks
// decide alike.
#include "launcher/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/find_gpu.h"
#include "comm/thread_communicator.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/sanitizers.h"
#include "tests/support/small_job.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kOnCpu[] = "; set cluster.device: CPU, or ";

std::string PluginsFolder(const std::string& name) {
  return std::string(TRESTLE_BINARY_DIR) + "/plugins/" + name;
}

std::string WhyNoGpu(FakeGpu gpu) {
  const auto found = FindGpu(gpu, 0);
  EXPECT_EQ(found.status().code(), StatusCode::kUnsupported);
  return found.status().ToString();
}

TEST(FindGpu, TheFirstThatWorksIsTaken) {
  FakeGpu gpu;
  const auto found = FindGpu(gpu, 5);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(GpuText(*found), "GPU 0, Fake H100 (sm_90, 80.0 GiB)");
  EXPECT_EQ(gpu.live(), 0) << "what was tried is given back";
}

TEST(FindGpu, RanksOfAHostTakeDevicesInTurnAndPassOldOnes) {
  FakeGpu gpu;
  gpu.devices = {FakeGpu::Device(0, "a", 9, 0), FakeGpu::Device(1, "b", 7, 5),
                 FakeGpu::Device(2, "c", 8, 0)};
  EXPECT_EQ(FindGpu(gpu, 0)->index, 0);
  EXPECT_EQ(FindGpu(gpu, 1)->index, 2) << "1 is older than sm_80";
  EXPECT_EQ(FindGpu(gpu, 2)->index, 2);
  EXPECT_EQ(FindGpu(gpu, 3)->index, 0);
}

TEST(FindGpu, WithoutADriverSaysWhichToInstall) {
  FakeGpu gpu;
  gpu.driver = 0;
  EXPECT_EQ(WhyNoGpu(gpu),
            std::string("there is no NVIDIA driver") + kOnCpu + "install one that knows CUDA 13.0");
}

TEST(FindGpu, AnOldDriverIsNamedWithWhatIsNeeded) {
  FakeGpu gpu;
  gpu.runtime = 13020;
  gpu.driver = 12080;
  EXPECT_THAT(WhyNoGpu(gpu),
              HasSubstr("the NVIDIA driver is too old: it knows CUDA 12.8, the plugin needs 13.0"));
  gpu.driver = 13000;  // minor versions go together
  EXPECT_TRUE(FindGpu(gpu, 0).ok());
}

TEST(FindGpu, ADriverWithoutADeviceSaysWhereToLook) {
  FakeGpu gpu;
  gpu.devices.clear();
  EXPECT_THAT(WhyNoGpu(gpu), AllOf(HasSubstr("the NVIDIA driver finds no GPU; set cluster.device"),
                                   HasSubstr("CUDA_VISIBLE_DEVICES")));
}

TEST(FindGpu, AnOldDeviceIsNamedWithWhatIsNeeded) {
  FakeGpu gpu;
  gpu.devices = {FakeGpu::Device(0, "Fake V100", 7, 0)};
  EXPECT_THAT(WhyNoGpu(gpu), HasSubstr("the GPU is too old: GPU 0, Fake V100 (sm_70, 80.0 GiB), "
                                       "the plugin needs sm_80"));
}

TEST(FindGpu, ADeviceThatGivesNoMemoryDoesNotWork) {
  FakeGpu gpu;
  gpu.limit_bytes = 0;
  EXPECT_THAT(WhyNoGpu(gpu),
              AllOf(HasSubstr("the GPU does not work: GPU 0, Fake H100 (sm_90, 80.0 GiB): "),
                    HasSubstr("out of memory")));
}

// What each rank chose, given the plugins of all.
std::vector<Result<ChosenDevice>> Choose(DeviceChoice choice, std::vector<FakePlugin*> plugins) {
  std::vector<Result<ChosenDevice>> chosen(plugins.size(), ChosenDevice());
  const std::vector<std::string> hosts(plugins.size(), "node");
  const Status ran = RunThreadRanks(static_cast<int>(plugins.size()), [&](Communicator& comm) {
    const auto r = static_cast<size_t>(comm.rank().value);
    chosen[r] = ChooseDevice(comm, choice, hosts, [&]() -> Result<GpuPlugin*> {
      if (plugins[r] == nullptr) return NoGpu("this build has no CUDA", "build it again");
      return plugins[r];
    });
    return Status();
  });
  EXPECT_TRUE(ran.ok()) << ran.ToString();
  return chosen;
}

TEST(ChooseDevice, CpuLoadsNothing) {
  for (const auto& chosen : Choose(CPU, {nullptr, nullptr})) {
    ASSERT_TRUE(chosen.ok());
    EXPECT_FALSE(chosen->gpu);
    EXPECT_EQ(chosen->why_cpu, "");
  }
}

TEST(ChooseDevice, RanksOfAHostTakeItsGpusInTurn) {
  FakePlugin plugins[3];
  for (FakePlugin& plugin : plugins) {
    plugin.gpu.devices.push_back(FakeGpu::Device(1, "Fake H100", 9, 0));
  }
  for (const DeviceChoice choice : {GPU, AUTO}) {
    const auto chosen = Choose(choice, {&plugins[0], &plugins[1], &plugins[2]});
    for (size_t r = 0; r < chosen.size(); ++r) {
      ASSERT_TRUE(chosen[r].ok()) << chosen[r].status().ToString();
      ASSERT_TRUE(chosen[r]->gpu);
      EXPECT_EQ(chosen[r]->gpu->index, static_cast<int>(r % 2));
    }
  }
}

TEST(ChooseDevice, GpuFailsOnAllRanksWhereOneHasNone) {
  FakePlugin good;
  const auto chosen = Choose(GPU, {&good, nullptr});
  EXPECT_TRUE(chosen[0].status().from_peer());
  for (const auto& one : chosen) {
    EXPECT_EQ(one.status().code(), StatusCode::kUnsupported);
    EXPECT_THAT(one.status().ToString(), HasSubstr("this build has no CUDA; set cluster.device"));
  }
}

TEST(ChooseDevice, AutoTakesTheCpuOnAllRanksWhereOneHasNoGpuAndSaysWhich) {
  FakePlugin good;
  for (const auto& chosen : Choose(AUTO, {&good, nullptr})) {
    ASSERT_TRUE(chosen.ok());
    EXPECT_FALSE(chosen->gpu);
    EXPECT_THAT(chosen->why_cpu, HasSubstr("rank 1: this build has no CUDA; set cluster.device"));
  }
}

TEST(ChooseDevice, AGpuThatCannotTrainIsNotTaken) {
  FakePlugin plugin;
  plugin.missing = {"tables", "the network", "the exchange"};
  EXPECT_EQ(Choose(GPU, {&plugin})[0].status().ToString(),
            "GPU 0, Fake H100 (sm_90, 80.0 GiB) is there, but this version cannot train on it: on "
            "GPUs it lacks tables, the network and the exchange; set cluster.device: CPU");
}

std::string WhyNotLoaded(const std::string& folder) {
  const auto loaded = LoadGpuPlugin(folder);
  EXPECT_EQ(loaded.status().code(), StatusCode::kUnsupported);
  return loaded.status().ToString();
}

TEST(LoadGpuPlugin, OfThisBuildIsLoaded) {
  const auto loaded = LoadGpuPlugin(PluginsFolder("fake"));
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ((*loaded)->Libraries(), "a fake");
}

TEST(LoadGpuPlugin, WhereThereIsNoneSaysWhetherThisBuildHasOne) {
  const TempDir dir;
  EXPECT_THAT(
      WhyNotLoaded(dir.path()),
      BuiltWithCuda().empty()
          ? HasSubstr("this build has no CUDA: there was no nvcc or no NCCL, or "
                      "TRESTLE_CUDA was OFF; set cluster.device: CPU, or build it where the "
                      "CUDA toolkit is, with -DTRESTLE_CUDA=ON")
          : HasSubstr("the GPU plugin is missing: there is no " + dir.path() +
                      "/libtrestle_cuda.so; set cluster.device: CPU, or name its folder in "
                      "TRESTLE_PLUGIN_PATH"));
}

TEST(LoadGpuPlugin, OfAnotherVersionIsRefusedWithBothVersions) {
  EXPECT_THAT(WhyNotLoaded(PluginsFolder("old")),
              AllOf(HasSubstr("the GPU plugin is of another version: "),
                    HasSubstr("plugins/old/libtrestle_cuda.so is 0.0.9 (GNU 11.1.0, x86-64-v3, "
                              "Release, interface 000000000000), this is " +
                              PluginBuild() + kOnCpu + "install both from one build")));
}

TEST(LoadGpuPlugin, WhoseLibrariesAreNotThereNamesThem) {
  EXPECT_THAT(WhyNotLoaded(PluginsFolder("incomplete")),
              AllOf(HasSubstr("the GPU plugin cannot be loaded: libtrestle_absent.so: cannot open"),
                    HasSubstr("put the folders of the CUDA runtime's and NCCL's libraries into "
                              "LD_LIBRARY_PATH")));
}

TEST(LoadGpuPlugin, AFileThatIsNoLibraryOrNoPluginIsNamed) {
  const TempDir dir;
  dir.Write("libtrestle_cuda.so", "text");
  EXPECT_THAT(WhyNotLoaded(dir.path()),
              HasSubstr("the GPU plugin cannot be loaded: " + dir.path()));
  EXPECT_THAT(WhyNotLoaded(PluginsFolder("foreign")),
              HasSubstr("libtrestle_cuda.so is not a GPU plugin of Trestle; set cluster.device"));
}

// The plugin that this build made, where it made one: it must load, and say of a machine without a
// driver that there is none.
TEST(LoadGpuPlugin, TheRealOneTellsOfThisMachine) {
  if (BuiltWithCuda().empty()) GTEST_SKIP() << "this build has no CUDA";
  const auto loaded = LoadGpuPlugin(std::string(TRESTLE_BINARY_DIR) + "/lib");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_THAT((*loaded)->Libraries(),
              AllOf(HasSubstr("CUDA runtime " + BuiltWithCuda()), HasSubstr(", NCCL 2.")));
  GpuRuntime& runtime = (*loaded)->runtime();
  EXPECT_GE(runtime.RuntimeVersion(), 13000);
  const auto found = FindGpu(runtime, 0);
  if (runtime.DriverVersion() == 0) {
    EXPECT_THAT(found.status().ToString(), HasSubstr("there is no NVIDIA driver; set cluster"));
    EXPECT_THAT(runtime.Allocate(1).status().ToString(), HasSubstr("CUDA: taking 1 bytes"));
    EXPECT_FALSE(runtime.MakeStream().ok());
  }
}

// The whole program.

struct Told {
  int exit_code = -1;
  std::string output;
};

Told Train(const SmallJob& job, const std::string& device, const std::string& plugin,
           const std::string& gpu, int ranks = 1) {
  Command command = JobCommand({ranks,
                                ranks > 1,
                                {"train", job.Config(), "--fresh", "--set",
                                 "cluster.device=" + device, "--set", "train.max_steps=2"}});
  command.env["TRESTLE_PLUGIN_PATH"] = PluginsFolder(plugin);
  command.env["TRESTLE_FAKE_GPU"] = gpu;
  const ProcessResult result = RunCommand(command);
  return {result.exit_code, result.output};
}

TEST(Device, GpuEndsTheRunWithOneLineThatSaysWhy) {
  const SmallJob job;
  struct Case {
    std::string plugin, gpu, line;
  };
  for (const Case& c : std::vector<Case>{
           {"fake", "no driver", "there is no NVIDIA driver; set cluster.device: CPU, or "},
           {"fake", "old driver", "the NVIDIA driver is too old: it knows CUDA 12.2, "},
           {"fake", "no device", "the NVIDIA driver finds no GPU; set cluster.device: CPU, or "},
           {"fake", "old device", "the GPU is too old: GPU 0, Fake V100 (sm_70, 80.0 GiB), "},
           {"fake", "broken device", "the GPU does not work: GPU 0, Fake H100 "},
           {"fake", "", "is there, but this version cannot train on it: on GPUs it lacks "},
           {"old", "", "the GPU plugin is of another version: "},
           {"incomplete", "", "the GPU plugin cannot be loaded: "}}) {
    const Told told = Train(job, "GPU", c.plugin, c.gpu);
    EXPECT_EQ(told.exit_code, 12) << told.output;
    EXPECT_THAT(told.output, HasSubstr(c.line));
    EXPECT_EQ(Count(told.output, "\n"), 1) << told.output;
  }
}

TEST(Device, GpuEndsAllRanksAndOneTells) {
  if (kSanitized) GTEST_SKIP() << "under mpirun, modules that MPI has closed seem to leak";
  const SmallJob job;
  const Told told = Train(job, "GPU", "fake", "no device", 2);
  EXPECT_EQ(told.exit_code, 12) << told.output;
  EXPECT_EQ(Count(told.output, "the NVIDIA driver finds no GPU"), 1) << told.output;
}

TEST(Device, AutoTrainsOnTheCpuAndSaysWhy) {
  const SmallJob job;
  const Told cpu = Train(job, "CPU", "fake", "no driver");
  const Told automatic = Train(job, "AUTO", "fake", "no driver");
  EXPECT_EQ(cpu.exit_code, 0) << cpu.output;
  EXPECT_EQ(automatic.exit_code, 0) << automatic.output;
  EXPECT_THAT(automatic.output, HasSubstr("note: cluster.device AUTO takes the CPU: rank 0: there "
                                          "is no NVIDIA driver; set cluster.device: CPU, or "));
  EXPECT_EQ(LineAfter(automatic.output, "digest "), LineAfter(cpu.output, "digest "));
  EXPECT_EQ(Count(cpu.output, "NVIDIA"), 0);
}

TEST(Device, DoctorExplainsAndLetsItBe) {
  const TempDir dir;
  Command command = JobCommand({1, false, {"doctor", dir.path()}});
  command.env = {{"TRESTLE_PLUGIN_PATH", PluginsFolder("fake")}, {"TRESTLE_FAKE_GPU", "no device"}};
  EXPECT_THAT(RunCommand(command).output,
              AllOf(HasSubstr("GPU: "), HasSubstr("the NVIDIA driver finds no GPU")));
}

}  // namespace
}  // namespace trestle
