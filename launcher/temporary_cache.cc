#include "launcher/temporary_cache.h"

#include <glog/logging.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>

namespace trestle {
namespace {

constexpr const char* kPrefix = "temporary-";
constexpr const char* kOwner = "trestle.owner";
// Names that another's folder has, or folders that went while they were taken.
constexpr int kMostTries = 1000;

// No other process has it but on a host of the same name; those tell by the folder that is there.
std::string NewName() {
  static std::atomic<int> count = 0;
  std::array<char, 256> host{};
  (void)::gethostname(host.data(), host.size() - 1);
  std::string name = kPrefix;
  name += host.data();
  name += '-';
  name += std::to_string(::getpid());
  name += '-';
  name += std::to_string(++count);
  return name;
}

// The owner's lock goes last, so that a folder that could not be emptied is still known as ours.
std::error_code RemoveFolder(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename() == kOwner) continue;
    std::error_code failed;
    std::filesystem::remove_all(it->path(), failed);
    if (failed) return failed;
  }
  if (!error) std::filesystem::remove_all(folder, error);
  return error;
}

// Null where it is held by another, or just went with its folder.
Result<std::unique_ptr<FileLock>> LockOwner(FileSystem& fs, const std::string& path) {
  auto lock = fs.TryLock(path + "/" + kOwner);
  if (lock.status().code() == StatusCode::kNotFound) return std::unique_ptr<FileLock>();
  const bool locked = lock.ok() && *lock != nullptr;
  if (locked && !fs.Exists(path + "/" + kOwner)) return std::unique_ptr<FileLock>();
  return lock;
}

// A folder without an owner's lock is not ours, or is being made.
Status RemoveLeftovers(FileSystem& fs, const std::string& folder) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    if (!name.starts_with(kPrefix) || !fs.Exists(path + "/" + kOwner)) continue;
    const auto lock = LockOwner(fs, path);
    if (lock.status().code() == StatusCode::kUnsupported) return {};
    TRESTLE_RETURN_IF_ERROR(lock.status());
    if (*lock == nullptr) continue;
    const std::error_code error = RemoveFolder(path);
    LOG_IF(WARNING, error) << "cannot remove " << path << ": " << error.message();
  }
  return {};
}

// Whether the folder is new.
Result<bool> MakeFolder(FileSystem& fs, const std::string& folder, const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder));
  std::error_code error;
  const bool made = std::filesystem::create_directory(path, error);
  // Another command that ended may have taken the empty `folder` along.
  if (!error || error == std::errc::no_such_file_or_directory) return made;
  return Status(StatusCode::kIoError, "cannot create " + path + ": " + error.message());
}

}  // namespace

Result<std::unique_ptr<TemporaryCache>> TemporaryCache::Make(FileSystem& fs,
                                                             const std::string& folder) {
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder));
  TRESTLE_RETURN_IF_ERROR(RemoveLeftovers(fs, folder));
  for (int tries = 0; tries < kMostTries; ++tries) {
    const std::string path = folder + "/" + NewName();
    TRESTLE_ASSIGN_OR_RETURN(const bool made, MakeFolder(fs, folder, path));
    if (!made) continue;
    auto lock = LockOwner(fs, path);
    const bool no_locks = lock.status().code() == StatusCode::kUnsupported;
    if (!no_locks) TRESTLE_RETURN_IF_ERROR(lock.status());
    if (!no_locks && *lock == nullptr) continue;  // taken for a leftover before it was locked
    return std::unique_ptr<TemporaryCache>(
        new TemporaryCache(path, no_locks ? nullptr : *std::move(lock)));
  }
  return Status(StatusCode::kIoError, "cannot make a folder " + folder + "/" + kPrefix +
                                          "*: all names are taken; remove old ones");
}

// The folder goes while it is locked.
TemporaryCache::~TemporaryCache() {
  const std::error_code error = RemoveFolder(path_);
  LOG_IF(WARNING, error) << "cannot remove " << path_ << ": " << error.message();
  std::error_code ignored;
  std::filesystem::remove(std::filesystem::path(path_).parent_path(), ignored);  // if empty
}

}  // namespace trestle
