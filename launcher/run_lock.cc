#include "launcher/run_lock.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace trestle {
namespace {

std::string ThisProcess() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return "pid " + std::to_string(getpid()) + " on host " + host.data();
}

// What the holder wrote; it may be about to.
std::string Holder(int fd) {
  std::array<char, 512> text{};
  const ssize_t size = pread(fd, text.data(), text.size() - 1, 0);
  return size > 0 ? text.data() : "it has not said which yet";
}

Status SystemError(const std::string& path) {
  return {StatusCode::kIoError, path + ": " + std::strerror(errno)};
}

}  // namespace

Result<std::unique_ptr<RunLock>> RunLock::Take(const std::string& folder, const std::string& cure) {
  const std::string path = folder + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError(path);
  std::unique_ptr<RunLock> lock(new RunLock(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return Status(StatusCode::kInvalidConfig,
                    folder + " is in use by another run (" + Holder(fd) + "); " + cure);
    }
    if (errno != ENOLCK && errno != ENOSYS && errno != EOPNOTSUPP) return SystemError(path);
    PLOG(WARNING) << path << ": no locks here; keep other runs out of this folder yourself";
  }
  const std::string holder = ThisProcess();
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size())) {
    return SystemError(path);
  }
  return lock;
}

RunLock::~RunLock() { close(fd_); }

}  // namespace trestle
