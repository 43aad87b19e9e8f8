#include "tests/support/job_killer.h"

#include <glog/logging.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace trestle {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr const char* kMomentNames[] = {"time",       "attempt",   "folder",   "shard",
                                        "dense file", "temporary", "manifest", "removal"};

// Waits a millisecond. Whether the process ended.
bool EndedAfterAMoment(int pid_fd) {
  pollfd ending{pid_fd, POLLIN, 0};
  return ::poll(&ending, 1, /*milliseconds=*/1) == 1;
}

bool IsOf(const std::string& path, const std::string& end) {
  return path.size() >= end.size() && path.ends_with(end);
}

}  // namespace

JobKiller::JobKiller(std::string checkpoints, std::chrono::milliseconds longest, uint64_t seed)
    : checkpoints_(std::move(checkpoints)), longest_(longest), random_(seed) {}

std::set<std::string> JobKiller::Look() const {
  namespace fs = std::filesystem;
  std::set<std::string> found;
  std::error_code error;  // what goes while we look is as good as gone
  fs::recursive_directory_iterator it(checkpoints_, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    found.insert(it->path().string().substr(checkpoints_.size() + 1));
  }
  std::ifstream attempt(checkpoints_ + "/attempt");
  found.insert("attempt is " + std::string(std::istreambuf_iterator<char>(attempt), {}));
  return found;
}

bool JobKiller::Came(Moment moment, int nth, const std::set<std::string>& before,
                     std::set<std::string>* seen) const {
  const std::set<std::string> now = Look();
  seen->insert(now.begin(), now.end());
  const auto counts = [&](const std::string& path) {
    if (moment == Moment::kRemoval) return IsOf(path, "/MANIFEST.json") && !now.contains(path);
    if (before.contains(path)) return false;
    switch (moment) {
      case Moment::kAttempt:
        return path.starts_with("attempt is ");
      case Moment::kFolder:
        return path.starts_with("step-") && path.find('/') == std::string::npos;
      case Moment::kShard:
        return IsOf(path, ".arrow");
      case Moment::kDense:
        return IsOf(path, "/dense.safetensors");
      case Moment::kTemporary:
        return IsOf(path, "/MANIFEST.json.tmp");
      default:
        return IsOf(path, "/MANIFEST.json");
    }
  };
  return std::count_if(seen->begin(), seen->end(), counts) >= nth;
}

std::string JobKiller::NewestCheckpoint() const {
  std::string newest;
  int64_t newest_attempt = -1;
  const std::set<std::string> now = Look();
  for (const std::string& path : now) {  // steps in ascending order
    const size_t dot = path.rfind('.');
    if (!path.starts_with("step-") || path.find('/') != std::string::npos) continue;
    if (dot == std::string::npos) continue;
    const int64_t attempt = std::stoll(path.substr(dot + 1));
    if (attempt < newest_attempt) continue;
    newest_attempt = attempt;
    newest = path;
  }
  if (newest.empty()) return "no checkpoint";
  const auto files = std::count_if(now.begin(), now.end(), [&](const std::string& path) {
    return path.starts_with(newest + "/") && (IsOf(path, ".arrow") || IsOf(path, ".safetensors"));
  });
  return newest + " has " + std::to_string(files) + " files and " +
         (now.contains(newest + "/MANIFEST.json") ? "a" : "no") + " manifest";
}

bool JobKiller::Strike(const Process& job, int ranks) {
  // A quarter falls by the clock, wherever that is.
  const Moment moment = Random(4) == 0 ? Moment::kTime : static_cast<Moment>(Random(kMoments));
  const int nth = moment == Moment::kAttempt ? 1 : 1 + Random(3);
  const auto time = std::chrono::milliseconds(Random(static_cast<int>(longest_.count())));
  const auto delay = std::chrono::milliseconds(Random(2) * Random(8));
  const int victim = Random(ranks + 1);  // one more: mpirun

  const std::set<std::string> before = Look();
  std::set<std::string> seen = before;
  const auto due = SteadyClock::now() + time;
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, job.pid(), 0));
  PCHECK(fd >= 0);
  pid_t pid = -1;
  bool ended = false;
  while (!ended) {
    // Looked up early: it takes longer than what there is to hit.
    if (pid < 0) pid = victim == ranks ? job.PidOf("mpirun") : job.RankPid(victim);
    const bool came =
        moment == Moment::kTime ? SteadyClock::now() >= due : Came(moment, nth, before, &seen);
    if (came && pid >= 0) break;
    ended = EndedAfterAMoment(fd);
  }
  for (const auto until = SteadyClock::now() + delay; !ended && SteadyClock::now() < until;) {
    ended = EndedAfterAMoment(fd);
  }
  ::close(fd);
  // It may be gone by itself.
  if (ended || (::kill(pid, SIGKILL) != 0 && errno == ESRCH)) return false;
  what_ = (victim == ranks ? "mpirun" : "rank " + std::to_string(victim)) + " at " +
          kMomentNames[static_cast<int>(moment)] + " " +
          (moment == Moment::kTime ? std::to_string(time.count()) + " ms" : std::to_string(nth)) +
          " + " + std::to_string(delay.count()) + " ms; " + NewestCheckpoint();
  return true;
}

}  // namespace trestle
