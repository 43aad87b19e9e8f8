#include "launcher/launch/child_process.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

namespace trestle {
namespace {

struct Pipe {
  OwnedFd read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Status(StatusCode::kIoError, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  return Pipe{OwnedFd(ends[0]), OwnedFd(ends[1])};
}

// Between fork and exec: only calls that a signal handler could make. `errors` gets errno.
[[noreturn]] void BecomeProgram(char* const* argv, pid_t parent, int out, int err, int errors) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);  // it died before the kernel was asked to tell
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int in = ::open("/dev/null", O_RDONLY);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::execvp(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(errors, &error, sizeof(error));
  ::_exit(127);
}

// Of /proc/<pid>/stat, "pid (name) state parent group session ..."; the name may hold anything.
struct ProcessState {
  char state = 'X';
  pid_t session = -1;
};

ProcessState StateOf(const std::filesystem::path& proc) {
  std::ifstream in(proc / "stat");
  const std::string stat{std::istreambuf_iterator<char>(in), {}};
  ProcessState found;
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return found;
  std::istringstream fields(stat.substr(name_end + 1));
  pid_t parent = -1, group = -1;
  fields >> found.state >> parent >> group >> found.session;
  return found;
}

// The processes of a session. (A pid that names a session is not given to a new process.)
struct Session {
  std::vector<pid_t> running, dead;  // dead: not reaped yet
};

Session ProcessesOf(pid_t session) {
  Session found;
  std::error_code error;
  std::filesystem::directory_iterator it("/proc", error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const ProcessState process = StateOf(it->path());
    if (process.session != session) continue;
    const bool dead = process.state == 'Z' || process.state == 'X';
    (dead ? found.dead : found.running).push_back(std::stoi(name));
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<ChildProcess>> ChildProcess::Start(const std::vector<std::string>& argv) {
  CHECK(!argv.empty());
  TRESTLE_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  TRESTLE_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  TRESTLE_ASSIGN_OR_RETURN(Pipe errors, MakePipe());  // closed by a successful exec
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    BecomeProgram(pointers.data(), parent, out.write.get(), err.write.get(), errors.write.get());
  }
  if (pid < 0) {
    return Status(StatusCode::kIoError, "cannot start " + argv[0] + ": " + std::strerror(errno));
  }
  errors.write.Reset();
  int error = 0;
  if (::read(errors.read.get(), &error, sizeof(error)) == sizeof(error)) {
    ::waitpid(pid, nullptr, 0);
    return Status(error == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError,
                  "cannot start " + argv[0] + ": " + std::strerror(error));
  }
  PCHECK(::fcntl(out.read.get(), F_SETFL, O_NONBLOCK) == 0);
  PCHECK(::fcntl(err.read.get(), F_SETFL, O_NONBLOCK) == 0);
  OwnedFd end(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  PCHECK(end.get() >= 0) << "pidfd_open";
  return std::unique_ptr<ChildProcess>(
      new ChildProcess(pid, std::move(out.read), std::move(err.read), std::move(end)));
}

ChildProcess::ChildProcess(pid_t pid, OwnedFd out, OwnedFd err, OwnedFd end)
    : pid_(pid), out_(std::move(out)), err_(std::move(err)), end_(std::move(end)) {}

ChildProcess::~ChildProcess() {
  if (reaped_) return;
  KillSession();
  Reap();
}

void ChildProcess::Signal(int signal) const {
  CHECK(!reaped_);
  PCHECK(::kill(pid_, signal) == 0);
}

ProcessEnd ChildProcess::Reap() {
  CHECK(!reaped_);
  int status = 0;
  while (::waitpid(pid_, &status, 0) != pid_) PCHECK(errno == EINTR);
  reaped_ = true;
  if (WIFSIGNALED(status)) return {0, WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

ChildProcess::Others ChildProcess::CountOthers() const {
  const Session session = ProcessesOf(pid_);
  const auto count = [&](const std::vector<pid_t>& pids) {
    return static_cast<int>(pids.size() - std::count(pids.begin(), pids.end(), pid_));
  };
  return {count(session.running), count(session.dead)};
}

int ChildProcess::KillSession() const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (true) {
    // Again each time: one that was just being started is found in the next round.
    const Session session = ProcessesOf(pid_);
    for (const pid_t pid : session.running) ::kill(pid, SIGKILL);
    // Orphans of a dead child are ours to reap (Launch adopts them); the child is Reap's.
    for (const pid_t pid : session.dead) {
      if (pid != pid_) ::waitpid(pid, nullptr, WNOHANG);
    }
    if (session.running.empty() || std::chrono::steady_clock::now() > deadline) {
      return static_cast<int>(session.running.size());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace trestle
