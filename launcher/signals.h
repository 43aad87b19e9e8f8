// Ctrl-C and friends. While a StopSignals lives, SIGINT, SIGTERM and SIGUSR2 ask the run to stop at
// its next step boundary, SIGUSR1 asks for a checkpoint there, and a second SIGINT ends the process
// at once with code 130; without one they have the system's action, the end of the process. SIGUSR2
// is there since mpirun passes it on and then waits, while after SIGINT and SIGTERM it soon kills.
//
// They are blocked in every thread and taken by one thread of this file with sigwait, so that no
// handler runs on the stack of a thread that computes: JIT-compiled code keeps data where the
// system puts a handler's frame (docs/architecture.md, "Signals").
//
// SIGPIPE is ignored, so that a reader that goes away (`trestle train ... | head`) is an error of
// the write and not the end of a rank.
//
// Thread safety: StopRequested and StopAtStepBoundaries may be called by any thread; a StopSignals
// belongs to one. The request is the one piece of process-wide state here: a signal is for a
// process.
#pragma once

#include <signal.h>

#include <atomic>
#include <thread>

namespace trestle {

// Call once, before MPI starts.
void IgnoreBrokenPipes();

class StopSignals {
 public:
  // Before any other thread exists: threads inherit what is blocked.
  StopSignals();
  // Gives the signals back their action. The threads started meanwhile have ended.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  void Take();

  sigset_t taken_, before_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

// From here on a first signal is a request. Until then (reading the input, loading a model) there
// is nothing to save and it ends the process at once, with code 130.
void StopAtStepBoundaries();

// Whether a signal asked for a checkpoint since this was called last.
[[nodiscard]] bool TakeCheckpointRequest();

// Whether a signal asked for a stop.
[[nodiscard]] bool StopRequested();

}  // namespace trestle
