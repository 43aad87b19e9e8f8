// The machine that the program runs on, as `trestle doctor` sees it.
#include <mpi.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
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
  machine.environment = Environment;
  machine.supports = Supports;
  machine.free_bytes = FreeBytes;
  machine.address_space = LimitOf(RLIMIT_AS);
  machine.open_files = LimitOf(RLIMIT_NOFILE);
  machine.cores = UsableCores();
  machine.root = ::geteuid() == 0;
  machine.mpi_library = MpiLibrary();
  machine.mpirun_in_path = InPath("mpirun");
  return machine;
}

}  // namespace trestle
