// Ctrl-C and friends. While a StopSignals lives, SIGINT and SIGTERM ask the run to stop at its next
// step boundary; a second SIGINT ends the process at once with code 130.
//
// No handler may run on a thread that computes: the generated kernels of the dense libraries keep
// live data below the stack pointer, beyond the 128 bytes that the ABI protects, and a signal frame
// written there changes their results or the heap (docs/architecture.md, "Signals"). So StopSignals
// blocks both signals in the calling thread, which every thread that is started later inherits, and
// receives them on a thread of its own.
//
// Thread safety: StopRequested may be called by any thread. Construct before any other thread
// starts (MPI's included), one at a time. The flag is the one piece of process-wide state here: a
// signal handler can reach nothing else.
#pragma once

#include <thread>

namespace trestle {

class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  int end_fd_;  // an eventfd: readable once the receiving thread shall end
  std::thread receiver_;
};

// Whether SIGINT or SIGTERM came since the start.
[[nodiscard]] bool StopRequested();

// A reader that goes away (`trestle train ... | head`) is then an error of the write and not the
// end of a rank.
void IgnoreBrokenPipes();

}  // namespace trestle
