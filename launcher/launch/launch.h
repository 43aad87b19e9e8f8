// `trestle launch`: a training that is started again when it dies. It runs mpirun with
// `trestle train CONFIG --resume latest`, passes its output through, and after a failure starts it
// again from the last good checkpoint, with back-off and a limit. Each failure is one line on
// stderr: what died, where the run stood, what was lost.
//
//   trestle: launch: rank 3 on node7 was killed by signal 9 (Killed) after step 1234; the last good
//   checkpoint is step-00001200.1, 34 steps are lost; start 2 of at most 11 in 1 s
//
// An mpirun that does not end although all its processes are dead is killed. Not tried again: a
// failure that another start would meet again (codes 2 config, 3 data, 4 not found, 7 numeric, 12
// unsupported) and a stop that was asked for (130). A folder in use (13) is tried again: ranks of
// the start before may be about to let it go. SIGINT, SIGTERM and SIGUSR2 are passed on to the
// command and end the supervision with code 130 once it has ended; SIGUSR1 is only passed on.
//
// Thread safety: the main thread of a process without others, since signals are for the process.
// Collective: no. Errors: printed; the returned number is the process's exit code.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

struct LaunchOptions {
  std::vector<std::string> command;  // mpirun and its arguments
  std::string run_folder;            // of metrics.jsonl
  std::string checkpoints;           // their folder
  int restarts = 0;                  // at most, in all
  // Before the first restart; doubles each time up to `longest_wait`, and begins anew after a start
  // that wrote a checkpoint further on.
  std::chrono::milliseconds first_wait{1000};
  std::chrono::milliseconds longest_wait{60'000};
  // How long mpirun may go on after the last of its processes is dead. (Open MPI 4.1's can wait for
  // itself for ever when a rank is killed while the others are still in MPI_Init.)
  std::chrono::milliseconds longest_end{10'000};
};

// Runs the command until it succeeds, fails for good, or is stopped. Its exit code, as a shell
// shows it.
[[nodiscard]] int Launch(FileSystem& fs, const LaunchOptions& options);

// What the command line of `trestle launch` says.
struct LaunchArguments {
  std::string config;
  std::vector<std::string> set;
  std::vector<std::string> train_flags;  // passed on to `trestle train`
  int np = 0;                            // 0: as many as `hosts` has slots
  int servers = -1;                      // -1: as the config says
  std::string hosts;                     // "a:8,b:8"; empty: this machine
  std::vector<std::string> mpirun;       // more arguments for it
  int restarts = 3;
  double backoff_s = 1;
};

// `mpirun ... program train CONFIG --resume latest ...`. kInvalidConfig if the config is wrong.
Result<LaunchOptions> PlanLaunch(const LaunchArguments& arguments, const std::string& program);

}  // namespace trestle
