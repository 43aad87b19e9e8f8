#include "launcher/bench/scaling_run.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "base/atomic_file.h"
#include "launcher/bench/mpirun_problem.h"
#include "launcher/launch/owned_fd.h"
#include "launcher/launch/supervised_run.h"

namespace trestle {
namespace {

constexpr int64_t kOutputSeen = 1 << 20;  // of output.txt, where mpirun's reasons are looked for

std::string Context(int ranks) { return "bench scaling: np " + std::to_string(ranks); }

// Open MPI binds the ranks of a small size to one core each, and those of larger ones to more:
// their threads would not be comparable.
bool ChoosesBinding(const std::vector<std::string>& mpirun) {
  return std::any_of(mpirun.begin(), mpirun.end(), [](std::string_view argument) {
    return argument.find("bind-to") != argument.npos || argument.find("cpu-set") != argument.npos ||
           argument.find("PE=") != argument.npos;
  });
}

std::vector<std::string> CommandOf(const ScalingArguments& arguments, const std::string& program,
                                   const std::string& config, int ranks) {
  std::vector<std::string> command = {"mpirun", "-np", std::to_string(ranks)};
  if (!arguments.hosts.empty()) {
    command.insert(command.end(), {"--hostfile", arguments.hosts});
  }
  if (!ChoosesBinding(arguments.mpirun)) command.insert(command.end(), {"--bind-to", "none"});
  command.insert(command.end(), arguments.mpirun.begin(), arguments.mpirun.end());
  command.insert(command.end(), {program, "train", config, "--fresh"});
  return command;
}

// Whether a child's exit code is one that trestle itself gives.
bool IsOurs(int code) { return StatusCodeName(static_cast<StatusCode>(code)) != "unknown"; }

Status FailureOf(FileSystem& fs, const SupervisedRun& run, const std::string& output) {
  const int code = run.end.ShellCode();
  const std::string where = "; all it said is in " + output;
  if (run.stopped || code == ExitCode(StatusCode::kInterrupted)) {
    return {StatusCode::kInterrupted, "stopped on request"};
  }
  const auto said = fs.ReadRange(output, 0, kOutputSeen);
  if (said.ok() && run.watch.error().empty()) {
    if (const std::string problem = MpirunProblem(*said); !problem.empty()) {
      return {StatusCode::kUnsupported, problem + where};
    }
  }
  const bool own = !run.watch.error().empty() && IsOurs(code);
  return {own ? static_cast<StatusCode>(code) : StatusCode::kPeerFailed,
          WhatDied("mpirun", run) + where};
}

Result<OwnedFd> OpenOutput(const std::string& path) {
  OwnedFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0) return Status(StatusCode::kIoError, path + ": " + std::strerror(errno));
  return fd;
}

}  // namespace

Result<ScalingPoint> RunSize(FileSystem& fs, const ScalingPlan& plan,
                             const ScalingArguments& arguments, const std::string& program,
                             int ranks, int64_t steps, SignalQueue& signals) {
  const Config config = ConfigOfSize(plan, arguments.weak, ranks, steps);
  const std::string folder = FolderOfSize(plan, ranks);
  const std::string config_path = folder + "/config.textproto";
  const std::string output_path = folder + "/output.txt";
  TRESTLE_RETURN_IF_ERROR(MakeDurableDirectories(fs, folder).Wrap(Context(ranks)));
  TRESTLE_RETURN_IF_ERROR(
      WriteFileAtomically(fs, config_path, Canonical(config)).Wrap(Context(ranks)));
  // All its lines are to be this run's.
  std::error_code failed;
  std::filesystem::remove(folder + "/metrics.jsonl", failed);
  TRESTLE_ASSIGN_OR_RETURN(const OwnedFd output, OpenOutput(output_path));

  SuperviseOptions supervise;
  supervise.command = CommandOf(arguments, program, config_path, ranks);
  supervise.out = supervise.err = output.get();
  supervise.say = [&](const std::string& what) {
    std::cerr << "trestle: " + Context(ranks) + ": " + what + "\n" << std::flush;
  };
  auto run = RunSupervised(supervise, signals);
  if (!run.ok()) return run.status().Wrap(Context(ranks));
  if (run->stopped || run->end.ShellCode() != 0) {
    return FailureOf(fs, *run, output_path).Wrap(Context(ranks));
  }
  auto point = ReadScalingPoint(fs, folder, ranks);
  if (!point.ok()) return point.status().Wrap(Context(ranks));
  std::filesystem::remove_all(CheckpointsOf(config), failed);
  if (failed) supervise.say("its model stays: " + failed.message());
  return point;
}

}  // namespace trestle
