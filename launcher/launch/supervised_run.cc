#include "launcher/launch/supervised_run.h"

#include <glog/logging.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace trestle {
namespace {

// Passes one stream of the child on to one of this process.
class Relay {
 public:
  Relay(int from, int to, const std::function<void(const std::string&)>& say)
      : from_(from), to_(to), say_(say) {}

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
        say_(std::string("cannot pass on the job's output: ") + std::strerror(errno) +
             "; the job goes on without");
        return;
      }
      bytes += written;
      count -= static_cast<size_t>(written);
    }
  }

  int from_;
  const int to_;
  const std::function<void(const std::string&)>& say_;
  bool broken_ = false;
};

// Passes a waiting signal on to the child.
void PassOn(SignalQueue& signals, const ChildProcess& child, SupervisedRun* run) {
  const int signal = signals.Next(std::chrono::milliseconds(0));
  if (signal == 0) return;
  if (signal != SIGUSR1) run->stopped = true;
  child.Signal(signal);
}

// Watches for a child that has nothing left to wait for and does not end.
class StuckWatch {
 public:
  StuckWatch(const ChildProcess& child, std::chrono::milliseconds longest, bool elsewhere)
      : child_(child), longest_(longest), elsewhere_(elsewhere) {}

  // How often Check is to be called.
  std::chrono::milliseconds interval() const { return longest_ / 4; }
  // `told`: its output said that one of its processes died.
  bool Check(bool told) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < interval()) return false;
    last_ = now;
    const ChildProcess::Others others = child_.CountOthers();
    had_some_ = had_some_ || told || others.running + others.dead > 0;
    const bool some_run = others.running > 0 || (elsewhere_ && !told);
    if (!had_some_ || some_run) alone_since_ = now;
    return now - alone_since_ >= longest_;
  }

 private:
  const ChildProcess& child_;
  const std::chrono::milliseconds longest_;
  const bool elsewhere_;  // others of its processes may be on other hosts
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point alone_since_ = last_;
  bool had_some_ = false;
};

std::string SignalText(int signal) {
  return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

}  // namespace

Result<SupervisedRun> RunSupervised(const SuperviseOptions& options, SignalQueue& signals) {
  TRESTLE_ASSIGN_OR_RETURN(const auto child, ChildProcess::Start(options.command));
  StuckWatch stuck(*child, options.longest_end, MayRunElsewhere(options.command));
  SupervisedRun run;
  Relay out(child->out(), options.out, options.say), err(child->err(), options.err, options.say);
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
    PassOn(signals, *child, &run);
    out.Pump(&run.watch);
    err.Pump(&run.watch);
    if (watched[3].revents != 0) break;
    if (!stuck.Check(!run.watch.died().empty())) continue;
    options.say(options.command[0] + " does not end although its processes are dead: it is killed");
    child->KillSession();
    break;
  }
  run.end = child->Reap();
  // Ranks that outlive their mpirun would hold the run's folder.
  if (const int left = child->KillSession(); left > 0) {
    options.say(std::to_string(left) + " processes of the job do not end, though killed");
  }
  out.Pump(&run.watch);
  err.Pump(&run.watch);
  return run;
}

bool MayRunElsewhere(const std::vector<std::string>& command) {
  for (const char* const job : {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"}) {
    if (std::getenv(job) != nullptr) return true;
  }
  const auto names_hosts = [](std::string_view argument) {
    if (argument == "-H") return true;
    if (argument.starts_with("--")) argument.remove_prefix(1);
    return argument == "-host" || argument == "-hostfile" || argument == "-machinefile" ||
           argument == "-default-hostfile";
  };
  return std::any_of(command.begin(), command.end(), names_hosts);
}

std::string WhatDied(const std::string& program, const SupervisedRun& run) {
  std::string text = run.watch.died();
  if (text.empty()) {
    text =
        program + (run.end.signal != 0 ? " was killed by " + SignalText(run.end.signal)
                                       : " ended with code " + std::to_string(run.end.exit_code));
  }
  if (!run.watch.error().empty()) text += ": " + run.watch.error();
  return text;
}

}  // namespace trestle
