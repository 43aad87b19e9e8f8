#include "launcher/temporary_cache.h"

#include <glog/logging.h>

#include <filesystem>

namespace trestle {
namespace {

constexpr const char* kOwner = "owner";

// All but the owner's lock.
std::error_code RemoveContents(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename() == kOwner) continue;
    std::error_code failed;
    std::filesystem::remove_all(it->path(), failed);
    if (failed) return failed;
  }
  return error;
}

}  // namespace

Result<std::unique_ptr<TemporaryCache>> TemporaryCache::Make(FileSystem& fs,
                                                             const std::string& folder) {
  for (int i = 1;; ++i) {
    const std::string path = folder + "/temporary-" + std::to_string(i);
    TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(path));
    auto lock = fs.TryLock(path + "/" + kOwner);
    const bool no_locks = lock.status().code() == StatusCode::kUnsupported;
    if (!no_locks) TRESTLE_RETURN_IF_ERROR(lock.status());
    if (!no_locks && *lock == nullptr) continue;  // another command's
    if (!fs.Exists(path + "/" + kOwner)) {        // which has just ended, and took the folder along
      --i;
      continue;
    }
    if (const std::error_code error = RemoveContents(path)) {
      return Status(StatusCode::kIoError, "cannot empty " + path + ": " + error.message());
    }
    return std::unique_ptr<TemporaryCache>(
        new TemporaryCache(path, no_locks ? nullptr : *std::move(lock)));
  }
}

// The folder goes while it is locked.
TemporaryCache::~TemporaryCache() {
  const std::error_code error = RemoveContents(path_);
  LOG_IF(WARNING, error) << "cannot empty " << path_ << ": " << error.message();
  std::error_code ignored;  // it is empty; the next command takes what cannot be removed
  std::filesystem::remove_all(path_, ignored);
  std::filesystem::remove(std::filesystem::path(path_).parent_path(), ignored);  // if empty
}

}  // namespace trestle
