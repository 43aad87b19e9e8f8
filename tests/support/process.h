// Runs programs for tests: captures what they print, bounds how long they take, sends signals on
// the way. Built for jobs under mpirun, whose ranks sit in process groups of their own: what a
// Process started is found through its parents and ended with it.
//
// Thread safety: a Process belongs to one thread.
// Ownership: a Process that is destroyed while it runs is killed, with all it started, and nothing
// else. Errors: a program that cannot be started ends with exit code 127 and the reason as its
// output.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace trestle {

struct Command {
  std::vector<std::string> argv;           // argv[0] is a path or is looked up in PATH
  std::map<std::string, std::string> env;  // added to this process's own environment
  std::string folder;                      // working folder; empty: this process's own
};

struct ProcessResult {
  int exit_code = -1;  // as a shell shows it: 128 + n after signal n
  bool timed_out = false;
  std::string output;  // stdout and stderr, as they came
};

// `mpirun -np ranks program_argv...` with the settings that work as root, in a container and with
// more ranks than cores (the same as mpi_env.sh). `options` go before the program.
Command Mpirun(int ranks, const std::vector<std::string>& program_argv,
               const std::vector<std::string>& options = {});

class Process {
 public:
  using Seconds = std::chrono::seconds;

  explicit Process(const Command& command);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& output() const { return output_; }  // as far as it was waited for
  // Blocks until the output so far contains `text`. False when the program ended first or the time
  // is up.
  bool WaitForOutput(std::string_view text, Seconds timeout = Seconds(120));
  // The rank's process under a running mpirun; -1 if there is none.
  pid_t RankPid(int rank) const;
  // The program itself or one below it that was started by this name; -1 if there is none.
  pid_t PidOf(std::string_view name) const;
  // To the program alone; to one rank with ::kill(RankPid(r), signal).
  void Signal(int signal) const;
  // Blocks until the program has ended; after `timeout` it is killed with all it started.
  ProcessResult Wait(Seconds timeout = Seconds(300));

 private:
  enum class Pump { kData, kEnded, kTimeUp };
  // Waits for output or the end, until `deadline`.
  Pump PumpOnce(std::chrono::steady_clock::time_point deadline);
  void ReadAvailable();
  bool Reap(bool block);
  void KillTree();

  pid_t pid_ = -1;
  int output_fd_ = -1;  // of the pipe; -1 once its end was read
  int pid_fd_ = -1;     // readable once the program has ended
  bool ended_ = false;
  int exit_code_ = -1;
  std::string output_;
};

// Start and Wait.
ProcessResult RunCommand(const Command& command, Process::Seconds timeout = Process::Seconds(300));

}  // namespace trestle
