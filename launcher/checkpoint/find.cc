#include "launcher/checkpoint/find.h"

#include <filesystem>
#include <vector>

#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/manifest.h"

namespace trestle {
namespace {

constexpr char kFolderOfRun[] = "checkpoints";
constexpr char kBest[] = "best";

Status NotFound(const std::string& message) { return {StatusCode::kNotFound, message}; }

std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

const FoundCheckpoint* NewestComplete(const std::vector<FoundCheckpoint>& oldest_first) {
  for (auto it = oldest_first.rbegin(); it != oldest_first.rend(); ++it) {
    if (it->complete) return &*it;
  }
  return nullptr;
}

// What else is in `folder`, after an error that named something in it.
std::string Offer(FileSystem& fs, const std::string& folder) {
  const auto found = ListCheckpoints(fs, folder);
  const FoundCheckpoint* newest = found.ok() ? NewestComplete(*found) : nullptr;
  if (newest == nullptr) return "";
  return "; the newest complete one beside it is " + newest->name.ToString();
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

bool NamesCheckpoint(const std::string& path) {
  CheckpointName name;
  return CheckpointName::Parse(std::filesystem::path(path).filename().string(), &name);
}

Status NoCompleteOne(const std::string& path, const std::string& folder, size_t incomplete) {
  if (incomplete == 0) {
    return NotFound(path + ": no checkpoint in " + folder +
                    "; give the folder of a run, of its checkpoints, or of one of them");
  }
  return NotFound(path + ": no complete checkpoint in " + folder + ", " +
                  std::to_string(incomplete) + " incomplete: without " + kManifestName +
                  ", still being written or left by a run that ended; start anew, or take another "
                  "run's");
}

// `path`: of a run, or of its checkpoints.
Result<std::string> FindBest(FileSystem& fs, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const std::string folder, CheckpointsFolder(fs, path));
  std::string newest;
  TRESTLE_ASSIGN_OR_RETURN(const std::string name, BestCheckpoint(fs, folder, &newest));
  if (newest.empty()) return FindCheckpoint(fs, path);  // tells what is there
  if (name.empty()) {
    return NotFound(path + ": " + newest + ", the newest checkpoint, knows of no best one; train " +
                    "with train.keep_best: true");
  }
  return FindCheckpoint(fs, folder + "/" + name);
}

}  // namespace

Result<std::string> BestCheckpoint(FileSystem& fs, const std::string& folder, std::string* newest) {
  TRESTLE_ASSIGN_OR_RETURN(const auto found, ListCheckpoints(fs, folder));
  const FoundCheckpoint* const last = NewestComplete(found);
  if (last == nullptr) return std::string();
  *newest = last->name.ToString();
  TRESTLE_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(fs, last->path));
  return manifest.evaluations().checkpoint();
}

Result<std::string> CheckpointsFolder(FileSystem& fs, const std::string& path) {
  const std::string folder = WithoutSlashes(path);
  if (!fs.Exists(folder)) {
    // A store that cannot be reached is no folder that does not exist.
    const Status listed = fs.List(folder).status();
    if (!listed.ok() && listed.code() != StatusCode::kNotFound) return listed;
    return NotFound(folder + ": no such folder; relative paths start in the folder that trestle " +
                    "was started in");
  }
  const std::string inner = folder + "/" + kFolderOfRun;
  return fs.Exists(inner) ? inner : folder;
}

std::string CheckpointArgument(const std::string& argument, const std::string& checkpoints) {
  if (argument.empty()) return checkpoints;
  return argument == kBest ? checkpoints + "/" + kBest : argument;
}

Result<std::string> FindCheckpoint(FileSystem& fs, const std::string& path) {
  const std::string given = WithoutSlashes(path);
  if (std::filesystem::path(given).filename() == kBest && !fs.Exists(given)) {
    return FindBest(fs, FolderOf(given));
  }
  if (fs.Exists(given + "/" + kManifestName)) return given;
  if (NamesCheckpoint(given)) {
    const char* what = fs.Exists(given) ? ": incomplete: it has no MANIFEST.json, which is written "
                                          "last"
                                        : ": no such checkpoint";
    return NotFound(given + what + Offer(fs, FolderOf(given)));
  }
  TRESTLE_ASSIGN_OR_RETURN(const std::string folder, CheckpointsFolder(fs, given));
  TRESTLE_ASSIGN_OR_RETURN(const auto found, ListCheckpoints(fs, folder));
  if (const FoundCheckpoint* newest = NewestComplete(found)) return newest->path;
  return NoCompleteOne(given, folder, found.size());
}

}  // namespace trestle
