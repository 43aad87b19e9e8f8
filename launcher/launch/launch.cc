#include "launcher/launch/launch.h"

#include <glog/logging.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <iostream>
#include <sstream>

#include "launcher/config.h"
#include "launcher/launch/run_standing.h"
#include "launcher/launch/signal_queue.h"
#include "launcher/launch/supervised_run.h"
#include "launcher/report_error.h"

namespace trestle {
namespace {

constexpr std::chrono::milliseconds kNoWait{0};

void Say(const std::string& what) { std::cerr << "trestle: launch: " + what + "\n" << std::flush; }

std::string WhereAndWhatWasLost(const RunStanding& standing) {
  const std::string lost = std::to_string(standing.lost()) +
                           (standing.lost() == 1 ? " step is" : " steps are") + " lost";
  if (standing.checkpoint.empty()) {
    return "after step " + std::to_string(standing.last_step) + "; there is no checkpoint yet, " +
           lost;
  }
  return "after step " + std::to_string(standing.last_step) + "; the last good checkpoint is " +
         standing.checkpoint + ", " + lost;
}

// Whether the same command could end otherwise: also with kInUse, where the ranks of a dead start
// are just letting the folder go, on another host.
bool AnotherStartMayHelp(const SupervisedRun& start) {
  switch (static_cast<StatusCode>(start.end.ShellCode())) {
    case StatusCode::kInvalidConfig:
    case StatusCode::kInvalidData:
    case StatusCode::kNotFound:
    case StatusCode::kUnsupported:
    case StatusCode::kNumeric:  // the same step would end so again
    case StatusCode::kInterrupted:
      return false;
    default:
      return true;
  }
}

std::string SecondsText(std::chrono::milliseconds wait) {
  std::ostringstream text;
  text << static_cast<double>(wait.count()) / 1000 << " s";
  return text.str();
}

// Waits before the next start. False if a signal asked to stop.
bool WaitUnlessStopped(SignalQueue& signals, std::chrono::milliseconds wait) {
  const auto until = std::chrono::steady_clock::now() + wait;
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    const int signal = signals.Next(std::max(left, kNoWait));
    if (signal == 0 && left <= kNoWait) return true;
    if (signal != 0 && signal != SIGUSR1) return false;  // USR1: no job to pass it on to
  }
}

class Supervisor {
 public:
  Supervisor(FileSystem& fs, const LaunchOptions& options)
      : fs_(fs), options_(options), wait_(options.first_wait) {}

  Result<int> Run() {
    SuperviseOptions supervise;
    supervise.command = options_.command;
    supervise.longest_end = options_.longest_end;
    supervise.say = Say;
    for (int starts = 1;; ++starts) {
      const int64_t before = Standing().checkpoint_step;
      TRESTLE_ASSIGN_OR_RETURN(const SupervisedRun start, RunSupervised(supervise, signals_));
      const int code = start.end.ShellCode();
      if (code == 0) return code;
      const RunStanding& after = Standing();
      if (after.checkpoint_step > before) wait_ = options_.first_wait;
      const std::string what =
          WhatDied(options_.command[0], start) + " " + WhereAndWhatWasLost(after) + "; ";
      if (start.stopped) {
        Say(what + "stopped on request");
        return ExitCode(StatusCode::kInterrupted);
      }
      if (!AnotherStartMayHelp(start)) {
        Say(what + (code == ExitCode(StatusCode::kInterrupted)
                        ? "it was stopped on request"
                        : "another start would end in the same way"));
        return code;
      }
      if (starts > options_.restarts) {
        Say(what + "no restarts are left of " + std::to_string(options_.restarts));
        return code;
      }
      Say(what + "start " + std::to_string(starts + 1) + " of at most " +
          std::to_string(options_.restarts + 1) + " in " + SecondsText(wait_));
      if (!WaitUnlessStopped(signals_, wait_)) {
        Say("stopped on request, between two starts");
        return ExitCode(StatusCode::kInterrupted);
      }
      wait_ = std::min(2 * wait_, std::max(options_.longest_wait, options_.first_wait));
    }
  }

 private:
  // A folder that cannot be read for a moment is no reason to give up.
  const RunStanding& Standing() {
    auto standing = ReadRunStanding(fs_, options_.run_folder, options_.checkpoints);
    if (standing.ok()) standing_ = *std::move(standing);
    if (!standing.ok()) Say("cannot see how far it came: " + standing.status().ToString());
    return standing_;
  }

  FileSystem& fs_;
  const LaunchOptions& options_;
  RunStanding standing_;  // as last seen
  SignalQueue signals_;
  std::chrono::milliseconds wait_;
};

}  // namespace

int Launch(FileSystem& fs, const LaunchOptions& options) {
  // Ranks that a killed mpirun leaves become children of this process, which reaps them.
  PCHECK(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  const Result<int> code = Supervisor(fs, options).Run();
  if (code.ok()) return *code;
  ReportError(code.status(), std::cerr);
  return ExitCode(code.status().code());
}

Result<LaunchOptions> PlanLaunch(const LaunchArguments& arguments, const std::string& program) {
  TRESTLE_ASSIGN_OR_RETURN(const LoadedConfig config, LoadConfig(arguments.config, arguments.set));
  LaunchOptions options;
  options.run_folder = config.config.checkpoint().dir();
  options.checkpoints = CheckpointsOf(config.config);
  options.restarts = arguments.restarts;
  options.first_wait = std::chrono::milliseconds(static_cast<int64_t>(arguments.backoff_s * 1000));
  std::vector<std::string>& command = options.command;
  const auto append = [&](const std::vector<std::string>& more) {
    command.insert(command.end(), more.begin(), more.end());
  };
  append({"mpirun"});
  if (arguments.np > 0) append({"-np", std::to_string(arguments.np)});
  if (!arguments.hosts.empty()) append({"--host", arguments.hosts});
  append(arguments.mpirun);
  append({program, "train", arguments.config, "--resume", "latest"});
  append(arguments.train_flags);
  for (const std::string& set : arguments.set) append({"--set", set});
  if (arguments.servers >= 0) {
    append({"--set", "cluster.servers=" + std::to_string(arguments.servers)});
  }
  return options;
}

}  // namespace trestle
