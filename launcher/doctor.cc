#include "launcher/doctor.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/find_gpu.h"
#include "launcher/doctor_disk.h"
#include "launcher/format.h"

namespace trestle {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

std::string Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1));
}

std::optional<std::string> ReadText(const Machine& machine, const std::string& path) {
  Result<std::string> text = machine.files->Read(path);
  if (!text.ok()) return std::nullopt;
  return Trim(*text);
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// The value of the first line "key ... : value" of /proc/cpuinfo or /proc/meminfo.
std::string LineValue(const std::string& text, const std::string& key) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && Trim(line.substr(0, colon)) == key) {
      return Trim(line.substr(colon + 1));
    }
  }
  return {};
}

Finding Cpu(const Machine& machine) {
  const std::string info = ReadText(machine, "/proc/cpuinfo").value_or("");
  std::string model = LineValue(info, "model name");
  Finding finding{"CPU", Verdict::kOk, model.empty() ? "unknown model" : model, ""};
  for (const char* feature : {"avx2", "fma", "bmi2"}) {
    if (machine.supports(feature)) continue;
    finding.verdict = Verdict::kProblem;
    finding.found.append(", without ").append(feature);
    finding.advice =
        "the default build needs x86-64-v3 (AVX2, FMA, BMI2) and stops with an illegal "
        "instruction here; build on this machine with -DTRESTLE_MARCH=native";
    return finding;
  }
  finding.found += machine.supports("avx512f") ? ", AVX-512" : ", AVX2";
  return finding;
}

Finding Cores(const Machine& machine) {
  Finding finding{"cores", Verdict::kOk, std::to_string(machine.cores) + " usable", ""};
  const std::string quota = ReadText(machine, "/sys/fs/cgroup/cpu.max").value_or("max");
  const size_t space = quota.find(' ');
  const auto allowed = ParseNumber(quota);
  if (!allowed || space == std::string::npos) return finding;
  const uint64_t period = ParseNumber(std::string_view(quota).substr(space + 1)).value_or(100'000);
  const double share =
      static_cast<double>(*allowed) / static_cast<double>(std::max<uint64_t>(period, 1));
  finding.found +=
      ", of which the cgroup grants the time of " + Format("%.0f", std::max(share, 1.0));
  if (share >= machine.cores) return finding;
  finding.verdict = Verdict::kNote;
  finding.advice = "more threads than that wait for one another: set ranks x cluster.threads to it";
  return finding;
}

Finding Memory(const Machine& machine) {
  const std::string info = ReadText(machine, "/proc/meminfo").value_or("");
  const auto kib = [&](const char* key) { return ParseNumber(LineValue(info, key)).value_or(0); };
  const uint64_t total = kib("MemTotal") * 1024;
  uint64_t available = kib("MemAvailable") * 1024;
  Finding finding{"memory", Verdict::kOk,
                  BinarySizeText(available) + " available of " + BinarySizeText(total), ""};
  const auto limit = ReadText(machine, "/sys/fs/cgroup/memory.max");
  if (const auto bytes = limit ? ParseNumber(*limit) : std::nullopt) {
    const auto used = ReadText(machine, "/sys/fs/cgroup/memory.current");
    const uint64_t current = used ? ParseNumber(*used).value_or(0) : 0;
    available = std::min(available, *bytes > current ? *bytes - current : 0);
    finding.found += ", the cgroup's limit is " + BinarySizeText(*bytes);
  }
  if (available >= 2 * kGiB) return finding;
  finding.verdict = Verdict::kNote;
  finding.advice =
      "tables grow with the keys they meet, about 4 x (dim + optimizer state) bytes a key "
      "and 30 %; spread them over more nodes or lower dim";
  return finding;
}

Finding AddressSpace(const Machine& machine) {
  if (!machine.address_space) return {"ulimit -v", Verdict::kOk, "unlimited", ""};
  return {
      "ulimit -v", Verdict::kProblem, BinarySizeText(*machine.address_space),
      "tables and MPI reserve more address space than they use, and then fail as if out of memory; "
      "run `ulimit -v unlimited`"};
}

Finding OpenFiles(const Machine& machine) {
  constexpr uint64_t kEnough = 1024;
  const std::string found =
      machine.open_files ? std::to_string(*machine.open_files) : std::string("unlimited");
  if (!machine.open_files || *machine.open_files >= kEnough) {
    return {"ulimit -n", Verdict::kOk, found, ""};
  }
  return {"ulimit -n", Verdict::kNote, found,
          "input files and connections between ranks each take one; run `ulimit -n 65536`"};
}

Finding Processes(const Machine& machine) {
  constexpr uint64_t kEnough = 1024;
  if (!machine.processes) return {"ulimit -u", Verdict::kOk, "unlimited", ""};
  const std::string found = std::to_string(*machine.processes);
  if (*machine.processes >= kEnough) return {"ulimit -u", Verdict::kOk, found, ""};
  return {"ulimit -u", Verdict::kNote, found,
          "every rank has threads for computing, exchange, reading and checkpoints, and they count "
          "as processes; run `ulimit -u 65536`"};
}

// InfiniBand sends from memory that is locked.
Finding LockedMemory(const Machine& machine) {
  const std::string found =
      machine.locked_memory ? BinarySizeText(*machine.locked_memory) : std::string("unlimited");
  if (!machine.locked_memory || !machine.files->Exists("/sys/class/infiniband")) {
    return {"ulimit -l", Verdict::kOk, found, ""};
  }
  return {"ulimit -l", Verdict::kNote, found,
          "this host has InfiniBand, which needs locked memory, or MPI falls back to TCP; run "
          "`ulimit -l unlimited`"};
}

// "always [madvise] never" -> "madvise".
Finding HugePages(const Machine& machine) {
  const auto text = ReadText(machine, "/sys/kernel/mm/transparent_hugepage/enabled");
  const size_t open = text ? text->find('[') : std::string::npos;
  const size_t close = text ? text->find(']') : std::string::npos;
  if (open == std::string::npos || close == std::string::npos || close < open) {
    return {"huge pages", Verdict::kNote, "unknown", "random rows of a large table may be slow"};
  }
  const std::string chosen = text->substr(open + 1, close - open - 1);
  if (chosen != "never") return {"huge pages", Verdict::kOk, chosen, ""};
  return {"huge pages", Verdict::kNote, chosen,
          "random rows of a table beyond the caches take about 3 times as long; as root, write "
          "\"madvise\" to /sys/kernel/mm/transparent_hugepage/enabled"};
}

Finding Mpi(const Machine& machine) {
  const std::string library = machine.mpi_library;
  if (machine.mpirun_in_path) return {"MPI", Verdict::kOk, library + ", mpirun found", ""};
  return {"MPI", Verdict::kNote, library + ", mpirun not in PATH",
          "one process works without it; for more, install openmpi-bin or add mpirun to PATH"};
}

Finding MpiAsRoot(const Machine& machine) {
  if (!machine.root) return {"user", Verdict::kOk, "not root", ""};
  const bool allowed = machine.environment("OMPI_ALLOW_RUN_AS_ROOT").has_value() &&
                       machine.environment("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM").has_value();
  if (allowed) return {"user", Verdict::kOk, "root, and Open MPI is told to accept it", ""};
  return {"user", Verdict::kNote, "root",
          "mpirun refuses to run as root; set OMPI_ALLOW_RUN_AS_ROOT=1 and "
          "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"};
}

Finding OpenMp(const Machine& machine) {
  const std::string threads = machine.environment("OMP_NUM_THREADS").value_or("not set");
  const std::string policy = machine.environment("OMP_WAIT_POLICY").value_or("not set");
  Finding finding{"OpenMP", Verdict::kOk,
                  "OMP_NUM_THREADS " + threads + ", OMP_WAIT_POLICY " + policy, ""};
  std::string lower = policy;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower != "active") return finding;  // our own threads set their count to 1 themselves
  finding.verdict = Verdict::kNote;
  finding.advice =
      "threads that spin while they wait cost ranks that share cores a factor of 5 to 20; "
      "set OMP_WAIT_POLICY=passive";
  return finding;
}

Finding SystemClock(const Machine& machine) {
  Clock::Duration last = machine.clock->Now();
  for (int i = 0; i < 1000; ++i) {
    const Clock::Duration now = machine.clock->Now();
    if (now < last) {
      return {"clock", Verdict::kProblem, "steps back",
              "deadlines between ranks rest on it; look at the machine's clock source"};
    }
    last = now;
  }
  return {"clock", Verdict::kOk,
          std::string("monotonic, ") + (machine.clock_synchronized ? "" : "not ") +
              "set by a time server",
          ""};
}

// A GPU that no run asks for is none to worry about.
Finding Gpu(const Machine& machine) {
  const Result<GpuDevice> gpu = FindTrainingGpu(machine.gpu_plugin, 0);
  if (gpu.ok()) return {"GPU", Verdict::kOk, GpuText(*gpu), ""};
  const std::string reason = gpu.status().root_message();
  if (!machine.files->Exists("/proc/driver/nvidia/version")) {
    return {
        "GPU", Verdict::kOk,
        "none to train on, and none needed for cluster.device: CPU, the default (" + reason + ")",
        ""};
  }
  return {
      "GPU", Verdict::kNote, reason,
      "it matters only to cluster.device: GPU, which ends with this line, and AUTO, which takes "
      "the CPU"};
}

}  // namespace

std::vector<Finding> Examine(const Machine& machine, const std::string& folder) {
  return {Cpu(machine),
          Cores(machine),
          Memory(machine),
          AddressSpace(machine),
          OpenFiles(machine),
          Processes(machine),
          LockedMemory(machine),
          HugePages(machine),
          Mpi(machine),
          MpiAsRoot(machine),
          OpenMp(machine),
          SharedMemory(machine),
          RunFolder(machine, folder),
          Disk(machine, folder),
          SystemClock(machine),
          Gpu(machine)};
}

std::string FindingsText(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    const char* verdict = finding.verdict == Verdict::kOk     ? "ok       "
                          : finding.verdict == Verdict::kNote ? "note     "
                                                              : "problem  ";
    text.append(verdict).append(finding.subject).append(": ").append(finding.found);
    if (!finding.advice.empty()) text.append(": ").append(finding.advice);
    text += '\n';
  }
  return text;
}

bool HasProblem(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.verdict == Verdict::kProblem; });
}

}  // namespace trestle
