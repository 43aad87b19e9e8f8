#include "launcher/prepare/prepared_folder.h"

#include <algorithm>
#include <filesystem>

#include "base/atomic_file.h"

namespace trestle {
namespace {

constexpr const char* kSplits[] = {"train", "test"};
constexpr const char* kUnfinished = "unfinished";

Status RemoveAll(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (!error) return {};
  return {StatusCode::kIoError, "cannot remove " + path + ": " + error.message()};
}

}  // namespace

Result<std::unique_ptr<PreparedFolder>> PreparedFolder::Open(FileSystem& fs,
                                                             const std::string& path, bool force) {
  std::unique_ptr<PreparedFolder> folder(
      new PreparedFolder(fs, std::filesystem::absolute(path).lexically_normal().string()));
  TRESTLE_RETURN_IF_ERROR(MakeDurableDirectories(fs, path));
  TRESTLE_RETURN_IF_ERROR(folder->CheckWhatIsThere(force));
  TRESTLE_ASSIGN_OR_RETURN(folder->lock_, RunLock::Take(fs, path, "choose another folder"));
  TRESTLE_RETURN_IF_ERROR(folder->CheckWhatIsThere(force));  // another may just have finished
  TRESTLE_RETURN_IF_ERROR(folder->RemoveEarlier());
  for (const char* name : {"train", "test", "scratch"}) {
    TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder->Work(name)));
  }
  return folder;
}

PreparedFolder::~PreparedFolder() {
  // Why it is unfinished is on its way to the user; the next call removes what this leaves.
  if (lock_ && !finished_) static_cast<void>(RemoveAll(Work("")));
}

std::string PreparedFolder::Work(const std::string& name) const {
  return path_ + "/" + kUnfinished + "/" + name;
}

Status PreparedFolder::CheckWhatIsThere(bool force) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs_.List(path_));
  const std::string ours[] = {"train", "test", kUnfinished, "lock", std::string(kPreparedName)};
  // The lock is there before anything else: without it the others are somebody's own.
  const bool locked = std::ranges::count(names, "lock") > 0;
  for (const std::string& name : names) {
    if (locked && std::ranges::count(ours, name) > 0) continue;
    return {StatusCode::kInvalidConfig,
            path_ + " holds other files (" + name + "): choose a new folder, or an empty one"};
  }
  if (std::ranges::count(names, kPreparedName) == 0 || force) return {};
  return {StatusCode::kInvalidConfig, path_ + " was prepared before (" +
                                          std::string(kPreparedName) +
                                          " tells what it holds): choose another folder, or "
                                          "prepare it anew with --force"};
}

// The mark of completeness goes first.
Status PreparedFolder::RemoveEarlier() {
  for (const std::string& name : {std::string(kPreparedName), std::string("train"),
                                  std::string("test"), std::string(kUnfinished)}) {
    const std::string path = path_ + "/" + name;
    if (!fs_.Exists(path)) continue;
    begins_anew_ = true;
    TRESTLE_RETURN_IF_ERROR(RemoveAll(path));
  }
  return {};
}

Status PreparedFolder::RemoveTree(const std::string& name) { return RemoveAll(Work(name)); }

Status PreparedFolder::SyncFiles(const std::string& split) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs_.List(Work(split)));
  for (const std::string& name : names) {
    TRESTLE_ASSIGN_OR_RETURN(auto file, fs_.OpenAppend(Work(split) + "/" + name));
    TRESTLE_RETURN_IF_ERROR(file->Sync());
    TRESTLE_RETURN_IF_ERROR(file->Close());
  }
  return fs_.SyncDirectory(Work(split));
}

Status PreparedFolder::Finish(std::string_view json) {
  for (const std::string split : kSplits) {
    TRESTLE_RETURN_IF_ERROR(SyncFiles(split));
    TRESTLE_RETURN_IF_ERROR(fs_.Rename(Work(split), path_ + "/" + split));
  }
  TRESTLE_RETURN_IF_ERROR(fs_.SyncDirectory(path_));
  TRESTLE_RETURN_IF_ERROR(WriteFileAtomically(fs_, path_ + "/" + std::string(kPreparedName), json));
  finished_ = true;
  return RemoveAll(Work(""));
}

}  // namespace trestle
