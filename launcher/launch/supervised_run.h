// RunSupervised: one run of a command, from its start to the end of all that it started: its output
// is passed on, waiting signals are passed to it, and what outlives it is killed. `trestle launch`
// and `trestle bench scaling` run mpirun so.
//
// An mpirun that does not end although all its processes are dead is killed. (Open MPI 4.1's can
// wait for itself for ever when a rank is killed while the others are still in MPI_Init.)
//
// Thread safety: the thread of the SignalQueue. Collective: no. Errors: those of
// ChildProcess::Start; how the command ended is in the result.
#pragma once

#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/launch/child_process.h"
#include "launcher/launch/output_watch.h"
#include "launcher/launch/signal_queue.h"

namespace trestle {

struct SuperviseOptions {
  std::vector<std::string> command;
  int out = STDOUT_FILENO, err = STDERR_FILENO;  // what its output is passed on to
  // How long it may go on after the last of its processes is dead: of those here, so where others
  // may be on other hosts its output must have told that one died.
  std::chrono::milliseconds longest_end{10'000};
  // What a person is to know meanwhile.
  std::function<void(const std::string&)> say;
};

struct SupervisedRun {
  ProcessEnd end;
  OutputWatch watch;
  bool stopped = false;  // SIGINT, SIGTERM or SIGUSR2 asked for it
};

Result<SupervisedRun> RunSupervised(const SuperviseOptions& options, SignalQueue& signals);

// Whether mpirun starts processes on other hosts with this command, as far as its arguments and a
// batch system tell.
bool MayRunElsewhere(const std::vector<std::string>& command);

// "rank 3 on node7 was killed by signal 9 (Killed)", "mpirun ended with code 5", and what the
// first error line of its output said, if there was one.
std::string WhatDied(const std::string& program, const SupervisedRun& run);

}  // namespace trestle
