#include "launcher/doctor_disk.h"

#include <algorithm>

#include "launcher/format.h"

namespace trestle {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kProbeBytes = 64 * kMiB;

// Writes the probe file; the seconds it took until it was on the disk.
Result<double> WriteProbe(const Machine& machine, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const auto file, machine.files->Create(path));
  const std::vector<std::byte> block(4 * kMiB, std::byte{0x5A});
  const Clock::Duration start = machine.clock->Now();
  for (uint64_t written = 0; written < kProbeBytes; written += block.size()) {
    TRESTLE_RETURN_IF_ERROR(file->Append(block));
  }
  TRESTLE_RETURN_IF_ERROR(file->Sync());
  const double seconds = Seconds(machine.clock->Now() - start);
  TRESTLE_RETURN_IF_ERROR(file->Close());
  return seconds;
}

}  // namespace

std::string ExistingFolder(const Machine& machine, std::string folder) {
  while (!folder.empty() && !machine.files->Exists(folder)) {
    const size_t slash = folder.rfind('/');
    folder = slash == std::string::npos ? "" : slash == 0 ? "/" : folder.substr(0, slash);
  }
  return folder.empty() ? "." : folder;
}

Finding SharedMemory(const Machine& machine) {
  constexpr const char* kPath = "/dev/shm";
  const auto free = machine.free_bytes(kPath);
  if (!free) {
    return {"shared memory", Verdict::kNote, "no /dev/shm",
            "ranks of one host exchange through it, or through a slower path without"};
  }
  const std::string found = BinarySizeText(*free) + " free in /dev/shm";
  if (*free >= 256 * kMiB) return {"shared memory", Verdict::kOk, found, ""};
  return {"shared memory", Verdict::kNote, found,
          "ranks of one host exchange through it, and end with a bus error when it is full; in a "
          "container start it with --shm-size=1g"};
}

Finding RunFolder(const Machine& machine, const std::string& run_folder) {
  const std::string subject = "folder " + run_folder;
  const std::string kind = machine.filesystem_kind(ExistingFolder(machine, run_folder));
  if (kind == "tmpfs") {
    return {subject, Verdict::kNote, "in memory (tmpfs)",
            "checkpoints there take the memory of tables and are gone with the machine; set "
            "checkpoint.dir"};
  }
  if (kind == "overlay") {
    return {subject, Verdict::kNote, "in a container (overlay)",
            "checkpoints there are gone with the container, and other hosts do not see them; set "
            "checkpoint.dir to a mounted folder"};
  }
  for (const char* network : {"nfs", "lustre", "gpfs", "ceph", "beegfs", "cifs", "fuse", "9p"}) {
    if (kind == network)
      return {subject, Verdict::kOk, "on a network filesystem (" + kind + ")", ""};
  }
  return {subject, Verdict::kOk,
          "local (" + kind + "): a job of several hosts needs one that all see", ""};
}

Finding Disk(const Machine& machine, const std::string& run_folder) {
  const std::string folder = ExistingFolder(machine, run_folder);
  const std::string subject = "disk of " + run_folder;
  const std::string probe = folder + "/.trestle_doctor_probe." + machine.host;
  const auto free = machine.free_bytes(folder);
  if (free && *free < 2 * kProbeBytes) {
    return {subject, Verdict::kProblem, BinarySizeText(*free) + " free",
            "a run's logs and model do not fit; free space or set checkpoint.dir"};
  }
  const Result<double> seconds = WriteProbe(machine, probe);
  const Status removed = machine.files->Exists(probe) ? machine.files->Remove(probe) : Ok();
  if (!seconds.ok() || !removed.ok()) {
    return {subject, Verdict::kProblem,
            seconds.ok() ? removed.ToString() : seconds.status().ToString(),
            "runs write here; choose another folder"};
  }
  const double speed =
      static_cast<double>(kProbeBytes) / static_cast<double>(kMiB) / std::max(*seconds, 1e-9);
  Finding finding{subject, Verdict::kOk,
                  (free ? BinarySizeText(*free) + " free" : std::string("free space unknown")) +
                      ", " + Format("%.0f", speed) + " MiB/s written and synced",
                  ""};
  if (free && *free < kGiB) {
    finding.verdict = Verdict::kNote;
    finding.advice = "a model of a few million keys needs more; free space or set checkpoint.dir";
  } else if (speed < 50) {
    finding.verdict = Verdict::kNote;
    finding.advice = "writing a model will take long: 20 s a GiB and more";
  }
  return finding;
}

}  // namespace trestle
