#include "launcher/signals.h"

#include <glog/logging.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "base/status.h"

namespace trestle {
namespace {

std::atomic<int> stop_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a handler may not lock");

void OnSignal(int signal) {
  const bool repeated = stop_signal.exchange(signal) == SIGINT;
  if (repeated && signal == SIGINT) _exit(ExitCode(StatusCode::kInterrupted));
}

void ChangeMask(int how) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  CHECK_EQ(pthread_sigmask(how, &signals, nullptr), 0);
}

void SetHandler(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  PCHECK(sigaction(signal, &action, nullptr) == 0);
}

}  // namespace

StopSignals::StopSignals() : end_fd_(eventfd(0, EFD_CLOEXEC)) {
  PCHECK(end_fd_ >= 0);
  SetHandler(SIGINT, OnSignal);
  SetHandler(SIGTERM, OnSignal);
  ChangeMask(SIG_BLOCK);
  receiver_ = std::thread([fd = end_fd_] {
    ChangeMask(SIG_UNBLOCK);
    pollfd end = {fd, POLLIN, 0};
    while (poll(&end, 1, -1) <= 0) {
    }
  });
}

StopSignals::~StopSignals() {
  const uint64_t one = 1;
  PCHECK(write(end_fd_, &one, sizeof(one)) == sizeof(one));
  receiver_.join();
  close(end_fd_);
  SetHandler(SIGINT, SIG_DFL);
  SetHandler(SIGTERM, SIG_DFL);
  ChangeMask(SIG_UNBLOCK);
}

bool StopRequested() { return stop_signal.load(std::memory_order_relaxed) != 0; }

void IgnoreBrokenPipes() { SetHandler(SIGPIPE, SIG_IGN); }

}  // namespace trestle
