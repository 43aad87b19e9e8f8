// The machine that the program runs on, as `trestle doctor` sees it.
#include <mpi.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <sstream>

#include "launcher/doctor.h"

namespace trestle {
namespace {

std::optional<std::string> Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

bool Supports(const std::string& feature) {
  if (feature == "avx2") return __builtin_cpu_supports("avx2") != 0;
  if (feature == "fma") return __builtin_cpu_supports("fma") != 0;
  if (feature == "bmi2") return __builtin_cpu_supports("bmi2") != 0;
  return feature == "avx512f" && __builtin_cpu_supports("avx512f") != 0;
}

std::optional<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info = {};
  if (::statvfs(path.c_str(), &info) != 0) return std::nullopt;
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

// By the magic numbers of statfs(2).
std::string FilesystemKind(const std::string& path) {
  struct statfs info = {};
  if (::statfs(path.c_str(), &info) != 0) return "unknown";
  switch (static_cast<uint32_t>(info.f_type)) {
    case 0xEF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case 0x2FC12FC1:
      return "zfs";
    case 0x01021994:
      return "tmpfs";
    case 0x794C7630:
      return "overlay";
    case 0x6969:
      return "nfs";
    case 0x0BD00BD0:
      return "lustre";
    case 0x47504653:
      return "gpfs";
    case 0x00C36400:
      return "ceph";
    case 0x19830326:
      return "beegfs";
    case 0xFF534D42:
      return "cifs";
    case 0x65735546:
      return "fuse";
    case 0x01021997:
      return "9p";
    default:
      return "unknown";
  }
}

int64_t WallMilliseconds() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

std::string HostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

bool ClockSynchronized() {
  struct timex info = {};
  return ::adjtimex(&info) >= 0 && (info.status & STA_UNSYNC) == 0;
}

Limit LimitOf(int resource) {
  struct rlimit limit = {};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

int UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

std::string MpiLibrary() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);  // allowed before MPI_Init
  const std::string all(text.data(), length);
  return all.substr(0, all.find(','));
}

bool InPath(const std::string& program) {
  std::istringstream folders(Environment("PATH").value_or(""));
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace

Machine Machine::This() {
  Machine machine;
  machine.files = &FileSystem::Local();
  machine.clock = &Clock::System();
  machine.wall_ms = WallMilliseconds;
  machine.host = HostName();
  machine.environment = Environment;
  machine.supports = Supports;
  machine.free_bytes = FreeBytes;
  machine.filesystem_kind = FilesystemKind;
  machine.address_space = LimitOf(RLIMIT_AS);
  machine.open_files = LimitOf(RLIMIT_NOFILE);
  machine.processes = LimitOf(RLIMIT_NPROC);
  machine.locked_memory = LimitOf(RLIMIT_MEMLOCK);
  machine.clock_synchronized = ClockSynchronized();
  machine.cores = UsableCores();
  machine.root = ::geteuid() == 0;
  machine.mpi_library = MpiLibrary();
  machine.mpirun_in_path = InPath("mpirun");
  machine.gpu_plugin = [] { return LoadGpuPlugin(PluginFolder()); };
  return machine;
}

}  // namespace trestle
