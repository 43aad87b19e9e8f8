#include "launcher/launch/launch.h"

#include <glog/logging.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>

#include "launcher/config.h"
#include "launcher/launch/child_process.h"
#include "launcher/launch/output_watch.h"
#include "launcher/launch/run_standing.h"
#include "launcher/launch/signal_queue.h"
#include "launcher/report_error.h"

namespace trestle {
namespace {

constexpr std::chrono::milliseconds kNoWait{0};

void Say(const std::string& what) { std::cerr << "trestle: launch: " + what + "\n" << std::flush; }

// Passes one stream of the child on to one of this process.
class Relay {
 public:
  Relay(int from, int to) : from_(from), to_(to) {}

  // -1 once its end was read; poll(2) ignores that.
  int from() const { return from_; }
  // Passes on all that is there, and tells the watch.
  void Pump(OutputWatch* watch) {
    char buffer[1 << 16];
    ssize_t count = 0;
    while (from_ >= 0 && (count = ::read(from_, buffer, sizeof(buffer))) > 0) {
      watch->Add({buffer, static_cast<size_t>(count)});
      Write(buffer, static_cast<size_t>(count));
    }
    if (count == 0) from_ = -1;
  }

 private:
  // Whoever read our output may be gone: that must not end a training of weeks.
  void Write(const char* bytes, size_t count) {
    while (count > 0 && !broken_) {
      const ssize_t written = ::write(to_, bytes, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        broken_ = true;
        Say(std::string("cannot pass on the job's output: ") + std::strerror(errno) +
            "; the job goes on without");
        return;
      }
      bytes += written;
      count -= static_cast<size_t>(written);
    }
  }

  int from_;
  const int to_;
  bool broken_ = false;
};

// One start of the command, from its beginning to its end.
struct Start {
  ProcessEnd end;
  OutputWatch watch;
  bool stopped = false;  // a signal asked for it
};

// Passes a waiting signal on to the child.
void PassOn(SignalQueue& signals, const ChildProcess& child, Start* start) {
  const int signal = signals.Next(kNoWait);
  if (signal == 0) return;
  if (signal != SIGUSR1) start->stopped = true;
  child.Signal(signal);
}

// Watches for a child that has nothing left to wait for and does not end.
class StuckWatch {
 public:
  StuckWatch(const ChildProcess& child, std::chrono::milliseconds longest)
      : child_(child), longest_(longest) {}

  // How often Check is to be called.
  std::chrono::milliseconds interval() const { return longest_ / 4; }
  // `told`: its output said that one of its processes died.
  bool Check(bool told) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < interval()) return false;
    last_ = now;
    const ChildProcess::Others others = child_.CountOthers();
    had_some_ = had_some_ || told || others.running + others.dead > 0;
    if (!had_some_ || others.running > 0) alone_since_ = now;
    return now - alone_since_ >= longest_;
  }

 private:
  const ChildProcess& child_;
  const std::chrono::milliseconds longest_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point alone_since_ = last_;
  bool had_some_ = false;
};

Result<Start> RunOnce(const LaunchOptions& options, SignalQueue& signals) {
  TRESTLE_ASSIGN_OR_RETURN(const auto child, ChildProcess::Start(options.command));
  StuckWatch stuck(*child, options.longest_end);
  Start start;
  Relay out(child->out(), STDOUT_FILENO), err(child->err(), STDERR_FILENO);
  // As long as the job takes: deadlines are those of its ranks.
  while (true) {
    pollfd watched[] = {{signals.fd(), POLLIN, 0},
                        {out.from(), POLLIN, 0},
                        {err.from(), POLLIN, 0},
                        {child->end_fd(), POLLIN, 0}};
    if (::poll(watched, 4, static_cast<int>(stuck.interval().count())) < 0) {
      PCHECK(errno == EINTR);
      continue;
    }
    PassOn(signals, *child, &start);
    out.Pump(&start.watch);
    err.Pump(&start.watch);
    if (watched[3].revents != 0) break;
    if (!stuck.Check(!start.watch.died().empty())) continue;
    Say(options.command[0] + " does not end although its processes are dead: it is killed");
    child->KillSession();
    break;
  }
  start.end = child->Reap();
  // Ranks that outlive their mpirun would hold the run's folder.
  if (const int left = child->KillSession(); left > 0) {
    Say(std::to_string(left) + " processes of the job do not end, though killed");
  }
  out.Pump(&start.watch);
  err.Pump(&start.watch);
  return start;
}

std::string SignalText(int signal) {
  return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

std::string WhatDied(const std::string& program, const Start& start) {
  std::string text = start.watch.died();
  if (text.empty()) {
    text = program + (start.end.signal != 0
                          ? " was killed by " + SignalText(start.end.signal)
                          : " ended with code " + std::to_string(start.end.exit_code));
  }
  if (!start.watch.error().empty()) text += ": " + start.watch.error();
  return text;
}

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
bool AnotherStartMayHelp(const Start& start) {
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
    for (int starts = 1;; ++starts) {
      const int64_t before = Standing().checkpoint_step;
      TRESTLE_ASSIGN_OR_RETURN(const Start start, RunOnce(options_, signals_));
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
