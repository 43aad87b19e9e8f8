// ChildProcess: a program that `trestle launch` or `prepare` runs and answers for. It gets a
// session of its own, so that a Ctrl-C of the terminal reaches it only through its supervisor, and
// so that everything it started can be found and ended with it: mpirun moves its ranks to process
// groups of their own, but out of its session only a daemon goes. When the supervisor itself is
// killed, the kernel sends the child SIGTERM.
//
// Thread safety: one thread, the one that started it (the kernel watches that thread, not the
// process). Ownership: one that is destroyed while it runs is killed with its whole session.
// Errors: kNotFound if there is no such program, kIoError if the system refuses to start it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/launch/owned_fd.h"

namespace trestle {

// How a process ended: with an exit code, or by a signal.
struct ProcessEnd {
  int exit_code = 0;
  int signal = 0;  // 0: none
  // As a shell shows it: 128 + n after signal n.
  [[nodiscard]] int ShellCode() const { return signal != 0 ? 128 + signal : exit_code; }
};

class ChildProcess {
 public:
  // argv[0] is looked up in PATH. Standard input is empty.
  static Result<std::unique_ptr<ChildProcess>> Start(const std::vector<std::string>& argv);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The read ends of its output; they do not block.
  int out() const { return out_.get(); }
  int err() const { return err_.get(); }
  // Readable once it has ended.
  int end_fd() const { return end_.get(); }

  // To the program alone. It must not have been reaped.
  void Signal(int signal) const;
  // Waits for its end, which end_fd() announces; call it once.
  ProcessEnd Reap();
  // Of its session, besides itself: processes that run, and dead ones that it has not reaped.
  struct Others {
    int running = 0;
    int dead = 0;
  };
  Others CountOthers() const;
  // Kills all that runs of its session and waits until it is gone, 10 s at most (a process deep in
  // a disk operation dies when that ends). How many still were there then.
  int KillSession() const;

 private:
  ChildProcess(pid_t pid, OwnedFd out, OwnedFd err, OwnedFd end);

  const pid_t pid_;
  const OwnedFd out_, err_, end_;
  bool reaped_ = false;
};

}  // namespace trestle
