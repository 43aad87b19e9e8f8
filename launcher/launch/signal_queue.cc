#include "launcher/launch/signal_queue.h"

#include <glog/logging.h>
#include <poll.h>
#include <sys/signalfd.h>

namespace trestle {
namespace {

constexpr int kTaken[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

}  // namespace

SignalQueue::SignalQueue() {
  sigemptyset(&taken_);
  for (const int signal : kTaken) sigaddset(&taken_, signal);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &taken_, &before_), 0);
  fd_.Reset(::signalfd(-1, &taken_, SFD_CLOEXEC | SFD_NONBLOCK));
  PCHECK(fd_.get() >= 0) << "signalfd";
}

// What still waits is forgotten (ignoring a signal does that), not acted on: the process is about
// to tell by its exit code how the job ended.
SignalQueue::~SignalQueue() {
  for (const int signal : kTaken) {
    struct sigaction action;
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    CHECK_EQ(::sigaction(signal, &ignore, &action), 0);
    CHECK_EQ(::sigaction(signal, &action, nullptr), 0);
  }
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before_, nullptr), 0);
}

int SignalQueue::Next(std::chrono::milliseconds wait) {
  pollfd waiting{fd_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(wait.count())) != 1) return 0;
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof(info)) != sizeof(info)) return 0;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace trestle
