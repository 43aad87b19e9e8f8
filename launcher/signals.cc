#include "launcher/signals.h"

#include <glog/logging.h>
#include <pthread.h>
#include <unistd.h>

#include "base/status.h"

namespace trestle {
namespace {

std::atomic<bool> at_step_boundaries{false};
std::atomic<bool> stop_requested{false};
std::atomic<bool> checkpoint_requested{false};

}  // namespace

void IgnoreBrokenPipes() { PCHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR); }

StopSignals::StopSignals() {
  sigemptyset(&taken_);
  sigaddset(&taken_, SIGINT);
  sigaddset(&taken_, SIGTERM);
  sigaddset(&taken_, SIGUSR1);
  sigaddset(&taken_, SIGUSR2);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &taken_, &before_), 0);
  thread_ = std::thread(&StopSignals::Take, this);
}

StopSignals::~StopSignals() {
  over_ = true;
  CHECK_EQ(pthread_kill(thread_.native_handle(), SIGTERM), 0);  // only to wake it
  thread_.join();
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before_, nullptr), 0);
}

void StopSignals::Take() {
  bool interrupted = false;
  while (true) {
    int signal = 0;
    CHECK_EQ(sigwait(&taken_, &signal), 0);
    if (over_) return;
    if (signal == SIGUSR1) {
      checkpoint_requested = true;
      continue;
    }
    if (!at_step_boundaries || (interrupted && signal == SIGINT)) {
      _exit(ExitCode(StatusCode::kInterrupted));
    }
    interrupted = interrupted || signal == SIGINT;
    stop_requested = true;
  }
}

void StopAtStepBoundaries() { at_step_boundaries = true; }

bool TakeCheckpointRequest() {
  return checkpoint_requested.load(std::memory_order_relaxed) &&
         checkpoint_requested.exchange(false);
}

bool StopRequested() { return stop_requested.load(std::memory_order_relaxed); }

}  // namespace trestle
