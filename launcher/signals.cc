#include "launcher/signals.h"

#include <glog/logging.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "base/status.h"

namespace trestle {
namespace {

std::atomic<int> stop_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a handler may not lock");

void OnSignal(int signal) {
  const bool repeated = stop_signal.exchange(signal) == SIGINT;
  if (repeated && signal == SIGINT) _exit(ExitCode(StatusCode::kInterrupted));
}

}  // namespace

void InstallSignalHandlers() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  PCHECK(sigaction(SIGINT, &action, nullptr) == 0);
  PCHECK(sigaction(SIGTERM, &action, nullptr) == 0);
  action.sa_handler = SIG_IGN;
  PCHECK(sigaction(SIGPIPE, &action, nullptr) == 0);
}

bool StopRequested() { return stop_signal.load(std::memory_order_relaxed) != 0; }

}  // namespace trestle
