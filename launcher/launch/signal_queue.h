// SignalQueue: SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 as something to read, so that a supervisor
// waits for signals, output and its child's end in one poll(2). Until it is destroyed they have no
// other action.
//
// Thread safety: one thread, the only one of its process (another would take the signals).
#pragma once

#include <signal.h>

#include <chrono>

#include "launcher/launch/owned_fd.h"

namespace trestle {

class SignalQueue {
 public:
  SignalQueue();
  ~SignalQueue();
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;

  int fd() const { return fd_.get(); }  // readable when a signal waits
  // The next signal; 0 if none came within `wait`.
  int Next(std::chrono::milliseconds wait);

 private:
  sigset_t taken_, before_;
  OwnedFd fd_;
};

}  // namespace trestle
