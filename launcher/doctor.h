// `trestle doctor`: looks at the machine and tells what would hurt a run before it hurts.
//
// Every finding is one line: what was found, whether that is ok, worth a note or a problem, and for
// the latter two what it means and the cure. What is read (files under /proc and /sys, environment,
// limits) comes through a Machine, so that tests can have one of any kind.
//
// Thread safety: one thread. Collective: no (doctor_cluster.h is).
// Errors: none; what cannot be read is a note.
// Source: the facts that the advice rests on are in docs/architecture.md and DESIGN's measurements.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/filesystem.h"
#include "launcher/device.h"

namespace trestle {

enum class Verdict { kOk, kNote, kProblem };

struct Finding {
  std::string subject;  // "huge pages"
  Verdict verdict = Verdict::kOk;
  std::string found;   // "always"
  std::string advice;  // what it means and the cure; empty when ok
};

// A limit of the process: unset when unlimited.
using Limit = std::optional<uint64_t>;

struct Machine {
  FileSystem* files = nullptr;  // for /proc, /sys and the folder
  const Clock* clock = nullptr;
  std::function<int64_t()> wall_ms;  // since 1970
  std::string host;
  std::function<std::optional<std::string>(const std::string&)> environment;
  std::function<bool(const std::string&)> supports;  // __builtin_cpu_supports of a feature
  std::function<std::optional<uint64_t>(const std::string&)> free_bytes;  // of a path's disk
  std::function<std::string(const std::string&)> filesystem_kind;         // of a path: "ext4"
  Limit address_space;                                                    // ulimit -v
  Limit open_files;                                                       // ulimit -n
  Limit processes;                                                        // ulimit -u
  Limit locked_memory;                                                    // ulimit -l
  bool clock_synchronized = false;                                        // says the kernel
  int cores = 1;  // that this process may use
  bool root = false;
  std::string mpi_library;  // "Open MPI v4.1.4"
  bool mpirun_in_path = false;
  PluginLoader gpu_plugin;

  static Machine This();
};

// All findings, in a fixed order. `folder` is where runs go: a file of 64 MiB is
// written to it, or to what is there of its path, and removed.
[[nodiscard]] std::vector<Finding> Examine(const Machine& machine, const std::string& folder);

[[nodiscard]] std::string FindingsText(const std::vector<Finding>& findings);
[[nodiscard]] bool HasProblem(const std::vector<Finding>& findings);

}  // namespace trestle
