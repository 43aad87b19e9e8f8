#include "launcher/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/find_gpu.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

// Paths of the system come from a map, all others from the disk.
class SystemFiles : public FileSystem {
 public:
  explicit SystemFiles(FileSystem& disk) : disk_(disk) {}
  std::map<std::string, std::string> files;

  Result<std::string> Read(const std::string& path) override {
    if (const auto it = files.find(path); it != files.end()) return it->second;
    return Status(StatusCode::kNotFound, path);
  }
  bool Exists(const std::string& path) override {
    return files.contains(path) || (!path.starts_with("/proc") && disk_.Exists(path));
  }
  Result<int64_t> Size(const std::string& path) override { return disk_.Size(path); }
  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    return disk_.Create(path);
  }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override {
    return disk_.OpenAppend(path);
  }
  Status MakeDirectories(const std::string& path) override { return disk_.MakeDirectories(path); }
  Status Rename(const std::string& from, const std::string& to) override {
    return disk_.Rename(from, to);
  }
  Status Remove(const std::string& path) override { return disk_.Remove(path); }
  Status SyncDirectory(const std::string& path) override { return disk_.SyncDirectory(path); }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return disk_.List(path);
  }
  Result<std::vector<std::string>> Glob(const std::string& path) override {
    return disk_.Glob(path);
  }

 private:
  FileSystem& disk_;
};

// Time that moves one millisecond a look, or back.
class StepClock : public Clock {
 public:
  explicit StepClock(int step_ms = 1) : step_(step_ms) {}
  Duration Now() const override { return now_ += step_; }
  void SleepFor(Duration) const override {}

 private:
  std::chrono::milliseconds step_;
  mutable Duration now_{0};
};

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() : files_(FileSystem::Local()) {
    files_.files = {
        {"/proc/cpuinfo", "processor : 0\nmodel name\t: Test CPU\n"},
        {"/proc/meminfo", "MemTotal:  16777216 kB\nMemAvailable:  8388608 kB\n"},
        {"/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"},
    };
    machine_.files = &files_;
    machine_.clock = &clock_;
    machine_.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto it = environment_.find(name);
      if (it == environment_.end()) return std::nullopt;
      return it->second;
    };
    machine_.supports = [this](const std::string& feature) { return !lacks_.contains(feature); };
    machine_.free_bytes = [this](const std::string&) { return free_bytes_; };
    machine_.filesystem_kind = [this](const std::string&) { return filesystem_; };
    machine_.cores = 8;
    machine_.mpi_library = "Open MPI v4";
    machine_.mpirun_in_path = true;
    machine_.gpu_plugin = []() -> Result<GpuPlugin*> {
      return NoGpu("this build has no CUDA", "build it again");
    };
  }

  Finding Find(const std::string& subject) {
    for (const Finding& finding : Examine(machine_, dir_.path())) {
      if (finding.subject.starts_with(subject)) return finding;
    }
    ADD_FAILURE() << "no finding on " << subject;
    return {};
  }

  TempDir dir_;
  SystemFiles files_;
  StepClock clock_;
  std::map<std::string, std::string> environment_;
  std::set<std::string> lacks_;
  std::optional<uint64_t> free_bytes_ = uint64_t{100} << 30;
  std::string filesystem_ = "ext4";
  Machine machine_;
};

TEST_F(DoctorTest, GoodMachineIsOkThroughout) {
  const std::vector<Finding> findings = Examine(machine_, dir_.path());
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.verdict, Verdict::kOk) << FindingsText({finding});
    EXPECT_EQ(finding.advice, "");
  }
  EXPECT_FALSE(HasProblem(findings));
  EXPECT_EQ(Find("CPU").found, "Test CPU, AVX-512");
  EXPECT_EQ(Find("memory").found, "8.0 GiB available of 16.0 GiB");
  EXPECT_EQ(Find("huge pages").found, "madvise");
  EXPECT_THAT(Find("disk").found, HasSubstr("100.0 GiB free, "));
}

TEST_F(DoctorTest, AGpuMattersOnlyWhereADriverIs) {
  EXPECT_EQ(
      Find("GPU").found,
      "none to train on, and none needed for cluster.device: CPU, the default (this build has "
      "no CUDA; set cluster.device: CPU, or build it again)");
  files_.files["/proc/driver/nvidia/version"] = "";
  EXPECT_EQ(Find("GPU").verdict, Verdict::kNote);
  EXPECT_THAT(Find("GPU").found, HasSubstr("this build has no CUDA; set cluster.device: CPU"));
  EXPECT_THAT(Find("GPU").advice, HasSubstr("it matters only to cluster.device: GPU, which ends"));
  FakePlugin plugin;
  machine_.gpu_plugin = [&]() -> Result<GpuPlugin*> { return &plugin; };
  EXPECT_EQ(Find("GPU").verdict, Verdict::kOk);
  EXPECT_EQ(Find("GPU").found, "GPU 0, Fake H100 (sm_90, 80.0 GiB)");
}

TEST_F(DoctorTest, OldCpuIsAProblem) {
  lacks_ = {"fma"};
  EXPECT_EQ(Find("CPU").verdict, Verdict::kProblem);
  EXPECT_THAT(Find("CPU").advice, HasSubstr("TRESTLE_MARCH=native"));
}

TEST_F(DoctorTest, CgroupLimitsAreSeen) {
  files_.files["/sys/fs/cgroup/cpu.max"] = "250000 100000";
  files_.files["/sys/fs/cgroup/memory.max"] = "2147483648";
  files_.files["/sys/fs/cgroup/memory.current"] = "1073741824";
  EXPECT_EQ(Find("cores").verdict, Verdict::kNote);
  EXPECT_EQ(Find("memory").verdict, Verdict::kNote);
  EXPECT_THAT(Find("memory").found, HasSubstr("the cgroup's limit is 2.0 GiB"));
  files_.files["/sys/fs/cgroup/cpu.max"] = "max 100000";
  files_.files["/sys/fs/cgroup/memory.max"] = "max";
  EXPECT_EQ(Find("cores").verdict, Verdict::kOk);
  EXPECT_EQ(Find("memory").verdict, Verdict::kOk);
}

TEST_F(DoctorTest, LimitsHugePagesAndEnvironmentHaveTheirCure) {
  machine_.address_space = uint64_t{4} << 30;
  machine_.open_files = 256;
  machine_.processes = 512;
  machine_.locked_memory = uint64_t{64} << 10;
  EXPECT_EQ(Find("ulimit -l").verdict, Verdict::kOk);
  files_.files["/sys/class/infiniband"] = "";
  files_.files["/sys/kernel/mm/transparent_hugepage/enabled"] = "always madvise [never]";
  environment_["OMP_WAIT_POLICY"] = "ACTIVE";
  EXPECT_EQ(Find("ulimit -v").verdict, Verdict::kProblem);
  EXPECT_EQ(Find("ulimit -n").verdict, Verdict::kNote);
  EXPECT_EQ(Find("ulimit -u").verdict, Verdict::kNote);
  EXPECT_EQ(Find("ulimit -l").verdict, Verdict::kNote);
  EXPECT_EQ(Find("huge pages").verdict, Verdict::kNote);
  EXPECT_EQ(Find("OpenMP").verdict, Verdict::kNote);
  EXPECT_TRUE(HasProblem(Examine(machine_, dir_.path())));
}

TEST_F(DoctorTest, RootNeedsBothVariables) {
  machine_.root = true;
  EXPECT_EQ(Find("user").verdict, Verdict::kNote);
  environment_["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
  EXPECT_EQ(Find("user").verdict, Verdict::kNote);
  environment_["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
  EXPECT_EQ(Find("user").verdict, Verdict::kOk);
}

TEST_F(DoctorTest, FullAndFailingDisksAreProblemsAndTheProbeIsRemoved) {
  free_bytes_ = 1 << 20;
  EXPECT_EQ(Find("disk").verdict, Verdict::kProblem);
  free_bytes_ = uint64_t{100} << 30;
  for (int64_t call = 1; call <= 3; ++call) {
    FaultFileSystem faulty(FileSystem::Local(), {.fail_call = call});
    SystemFiles files(faulty);
    files.files = files_.files;
    machine_.files = &files;
    EXPECT_EQ(Find("disk").verdict, Verdict::kProblem) << call;
  }
  machine_.files = &files_;
  EXPECT_EQ(Find("disk").verdict, Verdict::kOk);
  EXPECT_TRUE(FileSystem::Local().List(dir_.path())->empty());
}

TEST_F(DoctorTest, AFolderThatIsGoneWithItsHostIsNoted) {
  for (const char* kind : {"tmpfs", "overlay"}) {
    filesystem_ = kind;
    EXPECT_EQ(Find("folder").verdict, Verdict::kNote) << kind;
    EXPECT_THAT(Find("folder").advice, HasSubstr("set checkpoint.dir"));
  }
  filesystem_ = "lustre";
  EXPECT_EQ(Find("folder").found, "on a network filesystem (lustre)");
}

TEST_F(DoctorTest, LittleSharedMemoryIsNoted) {
  free_bytes_ = uint64_t{64} << 20;
  EXPECT_EQ(Find("shared memory").verdict, Verdict::kNote);
  EXPECT_THAT(Find("shared memory").advice, HasSubstr("--shm-size"));
  free_bytes_.reset();
  EXPECT_EQ(Find("shared memory").found, "no /dev/shm");
}

TEST_F(DoctorTest, FolderThatIsNotThereIsNotMade) {
  const std::string folder = dir_.Join("runs/a/b");
  for (const Finding& finding : Examine(machine_, folder)) {
    EXPECT_EQ(finding.verdict, Verdict::kOk) << FindingsText({finding});
  }
  EXPECT_FALSE(FileSystem::Local().Exists(dir_.Join("runs")));
}

TEST_F(DoctorTest, ClockThatStepsBackIsAProblem) {
  const StepClock backwards(-1);
  machine_.clock = &backwards;
  EXPECT_EQ(Find("clock").verdict, Verdict::kProblem);
}

TEST_F(DoctorTest, EachFindingIsOneLine) {
  const std::vector<Finding> findings = Examine(machine_, dir_.path());
  const std::string text = FindingsText(findings);
  EXPECT_EQ(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')), findings.size());
  EXPECT_EQ(FindingsText({{"a", Verdict::kProblem, "b", "c"}}), "problem  a: b: c\n");
}

}  // namespace
}  // namespace trestle
