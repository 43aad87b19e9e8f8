#include "tests/support/process.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

extern char** environ;

namespace trestle {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> MergedEnvironment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!added.contains(std::string(text.substr(0, text.find('='))))) merged.emplace_back(text);
  }
  for (const auto& [name, value] : added) merged.push_back(name + "=" + value);
  return merged;
}

std::string ReadProc(pid_t pid, const char* file) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/" + file, std::ios::binary);
  // Through a stream, which takes a process that ends meanwhile for the end of the file; iterators
  // throw.
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The fourth field of /proc/<pid>/stat, after "pid (name) state"; the name may hold anything.
pid_t ParentOf(pid_t pid) {
  const std::string stat = ReadProc(pid, "stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return -1;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string state;
  pid_t parent = -1;
  fields >> state >> parent;
  return parent;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t candidate = std::stoi(name);
    if (ParentOf(candidate) == pid) children.push_back(candidate);
  }
  return children;
}

// All processes below `pid`, parents before children.
std::vector<pid_t> Descendants(pid_t pid) {
  std::vector<pid_t> found = ChildrenOf(pid);
  for (size_t i = 0; i < found.size(); ++i) {
    const std::vector<pid_t> below = ChildrenOf(found[i]);
    found.insert(found.end(), below.begin(), below.end());
  }
  return found;
}

// A descriptor that becomes readable when the process ends; -1 if there is none.
int OpenPid(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

int MillisecondsUntil(SteadyClock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

}  // namespace

Command Mpirun(int ranks, const std::vector<std::string>& program_argv,
               const std::vector<std::string>& options) {
  Command command;
  command.argv = {"mpirun", "--oversubscribe", "--bind-to", "none", "-np", std::to_string(ranks)};
  command.argv.insert(command.argv.end(), options.begin(), options.end());
  command.argv.insert(command.argv.end(), program_argv.begin(), program_argv.end());
  command.env = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                 {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                 {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                 {"OMPI_MCA_hwloc_base_binding_policy", "none"},
                 {"OMPI_MCA_mpi_yield_when_idle", "1"},
                 {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"}};
  return command;
}

Process::Process(const Command& command) {
  CHECK(!command.argv.empty());
  int ends[2];
  PCHECK(::pipe2(ends, O_CLOEXEC) == 0);
  output_fd_ = ends[0];
  PCHECK(::fcntl(output_fd_, F_SETFL, O_NONBLOCK) == 0);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  if (!command.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, command.folder.c_str());
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // group 0: one of its own

  std::vector<std::string> argv = command.argv;
  std::vector<std::string> env = MergedEnvironment(command.env);
  const int error = ::posix_spawnp(&pid_, argv[0].c_str(), &actions, &attributes,
                                   Pointers(argv).data(), Pointers(env).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) {
    ended_ = true;
    exit_code_ = 127;
    output_ = "cannot start " + argv[0] + ": " + std::strerror(error);
    return;
  }
  pid_fd_ = OpenPid(pid_);
  PCHECK(pid_fd_ >= 0) << "pidfd_open";
}

Process::~Process() {
  if (!ended_) KillTree();
  if (output_fd_ >= 0) ::close(output_fd_);
  if (pid_fd_ >= 0) ::close(pid_fd_);
}

bool Process::WaitForOutput(std::string_view text, Seconds timeout) {
  const auto deadline = SteadyClock::now() + timeout;
  while (output_.find(text) == std::string::npos) {
    if (PumpOnce(deadline) != Pump::kData) return output_.find(text) != std::string::npos;
  }
  return true;
}

pid_t Process::RankPid(int rank) const {
  const std::string wanted =
      '\0' + std::string("OMPI_COMM_WORLD_RANK=") + std::to_string(rank) + '\0';
  for (const pid_t pid : Descendants(pid_)) {
    if (('\0' + ReadProc(pid, "environ")).find(wanted) != std::string::npos) return pid;
  }
  return -1;
}

// The first part of the command line, without its folder.
pid_t Process::PidOf(std::string_view name) const {
  std::vector<pid_t> candidates = Descendants(pid_);
  candidates.insert(candidates.begin(), pid_);
  for (const pid_t pid : candidates) {
    std::string program = ReadProc(pid, "cmdline");
    program.resize(std::min(program.find('\0'), program.size()));
    if (program.substr(program.rfind('/') + 1) == name) return pid;
  }
  return -1;
}

void Process::Signal(int signal) const {
  if (!ended_) PCHECK(::kill(pid_, signal) == 0);
}

ProcessResult Process::Wait(Seconds timeout) {
  const auto deadline = SteadyClock::now() + timeout;
  Pump pump = ended_ ? Pump::kEnded : Pump::kData;
  while (pump == Pump::kData) pump = PumpOnce(deadline);
  const bool timed_out = pump == Pump::kTimeUp;
  if (timed_out) KillTree();
  return {exit_code_, timed_out, output_};
}

Process::Pump Process::PumpOnce(SteadyClock::time_point deadline) {
  if (ended_) return Pump::kEnded;
  pollfd watched[] = {{output_fd_, POLLIN, 0}, {pid_fd_, POLLIN, 0}};
  const int ready = ::poll(watched, 2, MillisecondsUntil(deadline));
  if (ready < 0) {
    PCHECK(errno == EINTR);
    return Pump::kData;
  }
  if (ready == 0) return Pump::kTimeUp;
  ReadAvailable();
  if (watched[1].revents != 0 && Reap(false)) return Pump::kEnded;
  return Pump::kData;
}

void Process::ReadAvailable() {
  if (output_fd_ < 0) return;
  char buffer[1 << 16];
  ssize_t count = 0;
  while ((count = ::read(output_fd_, buffer, sizeof(buffer))) > 0) {
    output_.append(buffer, static_cast<size_t>(count));
  }
  // A program may close its output and go on; poll() ignores a negative descriptor.
  if (count == 0) ::close(std::exchange(output_fd_, -1));
}

// What the program printed before its end is in the pipe by now; a process that outlives it may
// hold the pipe open, so the end of file is not waited for.
bool Process::Reap(bool block) {
  int status = 0;
  if (::waitpid(pid_, &status, block ? 0 : WNOHANG) != pid_) return false;
  ReadAvailable();
  ended_ = true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

// Stopped first, so that nothing new appears between looking and killing. A kill takes a moment:
// the dead are waited for, 10 s at most (a process deep in a disk operation dies when that ends).
void Process::KillTree() {
  ::kill(-pid_, SIGSTOP);
  std::vector<pollfd> dying;
  for (const pid_t pid : Descendants(pid_)) {
    const int fd = OpenPid(pid);
    if (fd < 0) continue;  // ended by itself
    ::kill(pid, SIGKILL);
    dying.push_back({fd, POLLIN, 0});
  }
  ::kill(-pid_, SIGKILL);
  Reap(true);
  const auto deadline = SteadyClock::now() + Seconds(10);
  for (pollfd& process : dying) {
    ::poll(&process, 1, MillisecondsUntil(deadline));
    ::close(process.fd);
  }
}

ProcessResult RunCommand(const Command& command, Process::Seconds timeout) {
  return Process(command).Wait(timeout);
}

}  // namespace trestle
