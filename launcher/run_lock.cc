#include "launcher/run_lock.h"

#include <glog/logging.h>
#include <unistd.h>

#include <array>
#include <span>
#include <utility>

namespace trestle {
namespace {

std::string ThisProcess() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return "pid " + std::to_string(getpid()) + " on host " + host.data();
}

// What the holder wrote; it may be about to.
std::string Holder(FileSystem& fs, const std::string& path) {
  const auto text = fs.Read(path);
  return text.ok() && !text->empty() ? *text : "it has not said which yet";
}

// Not atomically: another file in its place would not be the one that is locked.
Status Write(FileSystem& fs, const std::string& path, const std::string& text) {
  TRESTLE_ASSIGN_OR_RETURN(const auto file, fs.Create(path));
  TRESTLE_RETURN_IF_ERROR(file->Append(std::as_bytes(std::span(text))));
  return file->Close();
}

}  // namespace

Result<RunLock> RunLock::Take(FileSystem& fs, const std::string& folder, const std::string& cure) {
  const std::string path = folder + "/lock";
  auto lock = fs.TryLock(path);
  const bool none = lock.status().code() == StatusCode::kUnsupported;
  LOG_IF(WARNING, none) << lock.status().ToString() << "; keep other runs out of it yourself";
  if (!lock.ok() && !none) return lock.status();
  if (lock.ok() && *lock == nullptr) {
    return Status(StatusCode::kInUse,
                  folder + " is in use by another run (" + Holder(fs, path) + "); " + cure);
  }
  // Some shares let nobody write to a locked file: the name is information only.
  const Status named = Write(fs, path, ThisProcess());
  LOG_IF(WARNING, !named.ok()) << named.ToString();
  return RunLock(none ? nullptr : *std::move(lock));
}

}  // namespace trestle
