#include "ps/checkpoint/checkpoint_folder.h"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>

#include "base/atomic_file.h"
#include "ps/checkpoint/hashed_file.h"
#include "ps/checkpoint/manifest.h"

namespace trestle {
namespace {

constexpr char kAttemptName[] = "attempt";
constexpr char kFirstAttemptName[] = "first_attempt";
constexpr char kEmbeddingFolder[] = "embedding";

// The whole text as a number that is not negative.
bool ParseNumber(std::string_view text, int64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && *number >= 0;
}

// 0 if no attempt was written down.
Result<int64_t> ReadAttempt(FileSystem& fs, const std::string& path) {
  auto text = fs.Read(path);
  if (!text.ok() && text.status().code() == StatusCode::kNotFound) return int64_t{0};
  TRESTLE_RETURN_IF_ERROR(text.status());
  int64_t attempt = 0;
  if (text->ends_with('\n') && ParseNumber(text->substr(0, text->size() - 1), &attempt)) {
    return attempt;
  }
  return CorruptFile(path, "\"" + *text +
                               "\", expected a number and a line feed; write one above "
                               "that of every checkpoint beside it");
}

// A folder without folders in it.
Status RemoveFolder(FileSystem& fs, const std::string& folder) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) TRESTLE_RETURN_IF_ERROR(fs.Remove(folder + "/" + name));
  return fs.RemoveDirectory(folder);
}

struct Complete {
  FoundCheckpoint found;
  Manifest manifest;
};

// Which complete checkpoints stay: newest ones and the best that those know of, every k-th, and
// what all of these stand on.
std::set<std::string> Kept(const std::vector<Complete>& complete, const Retention& retention) {
  std::map<std::string, std::string> bases;
  for (const Complete& one : complete) bases[one.manifest.name()] = one.manifest.base();
  std::set<std::string> kept;
  const size_t newest = static_cast<size_t>(std::max(retention.keep, 1));
  for (size_t i = 0; i < complete.size(); ++i) {
    const int64_t number = complete[i].manifest.number();
    const bool every = retention.keep_every > 0 && number % retention.keep_every == 0;
    const bool is_new = i + newest >= complete.size();
    if (!is_new && !every) continue;
    std::vector<std::string> names = {complete[i].manifest.name()};
    if (is_new) names.push_back(complete[i].manifest.evaluations().checkpoint());
    for (const std::string& name : names) {
      kept.insert(name);
      kept.insert(bases[name]);
    }
  }
  return kept;
}

void KeepFirst(Status* first, const Status& status) {
  if (first->ok()) *first = status;
}

}  // namespace

std::string CheckpointName::ToString() const {
  char text[64];
  std::snprintf(text, sizeof(text), "step-%08" PRId64 ".%" PRId64, step, attempt);
  return text;
}

bool CheckpointName::Parse(const std::string& text, CheckpointName* name) {
  const std::string_view prefix = "step-";
  const size_t dot = text.find('.');
  if (!text.starts_with(prefix) || dot == std::string::npos) return false;
  const auto rest = std::string_view(text).substr(prefix.size());
  return ParseNumber(rest.substr(0, dot - prefix.size()), &name->step) &&
         ParseNumber(rest.substr(dot - prefix.size() + 1), &name->attempt) &&
         name->ToString() == text;  // no other way to write it
}

Result<std::vector<FoundCheckpoint>> ListCheckpoints(FileSystem& fs, const std::string& folder) {
  std::vector<FoundCheckpoint> found;
  const auto names = fs.List(folder);
  if (!names.ok() && names.status().code() == StatusCode::kNotFound) return found;
  TRESTLE_RETURN_IF_ERROR(names.status());
  for (const std::string& text : *names) {
    CheckpointName name;
    if (!CheckpointName::Parse(text, &name)) continue;
    const std::string path = folder + "/" + text;
    // Only one that surely has no manifest is incomplete: those are removed.
    const auto manifest = fs.Size(path + "/" + kManifestName);
    const bool missing = !manifest.ok() && manifest.status().code() == StatusCode::kNotFound;
    if (!missing) TRESTLE_RETURN_IF_ERROR(manifest.status());
    found.push_back({name, path, !missing});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.name.attempt, a.name.step) < std::tie(b.name.attempt, b.name.step);
  });
  return found;
}

Result<int64_t> TakeAttempt(FileSystem& fs, const std::string& folder) {
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder));
  const std::string path = folder + "/" + kAttemptName;
  TRESTLE_ASSIGN_OR_RETURN(int64_t newest, ReadAttempt(fs, path));
  TRESTLE_ASSIGN_OR_RETURN(const auto found, ListCheckpoints(fs, folder));
  if (!found.empty()) newest = std::max(newest, found.back().name.attempt);
  const int64_t attempt = newest + 1;
  TRESTLE_RETURN_IF_ERROR(WriteFileAtomically(fs, path, std::to_string(attempt) + "\n"));
  // The folder's own entry, that a checkpoint in it is not lost with it.
  const std::string parent = std::filesystem::path(folder).parent_path().string();
  TRESTLE_RETURN_IF_ERROR(fs.SyncDirectory(parent.empty() ? "." : parent));
  return attempt;
}

Status BeginAnew(FileSystem& fs, const std::string& folder, int64_t attempt) {
  return WriteFileAtomically(fs, folder + "/" + kFirstAttemptName, std::to_string(attempt) + "\n");
}

Result<int64_t> FirstAttempt(FileSystem& fs, const std::string& folder) {
  return ReadAttempt(fs, folder + "/" + kFirstAttemptName);
}

Status RemoveCheckpoint(FileSystem& fs, const std::string& path) {
  const std::string manifest = path + "/" + kManifestName;
  if (fs.Exists(manifest)) {
    TRESTLE_RETURN_IF_ERROR(fs.Remove(manifest));
    TRESTLE_RETURN_IF_ERROR(fs.SyncDirectory(path));
  }
  const std::string embedding = path + "/" + kEmbeddingFolder;
  if (fs.Exists(embedding)) TRESTLE_RETURN_IF_ERROR(RemoveFolder(fs, embedding));
  return RemoveFolder(fs, path);
}

Status RemoveOldCheckpoints(FileSystem& fs, const std::string& folder, const Retention& retention,
                            int64_t attempt) {
  TRESTLE_ASSIGN_OR_RETURN(const auto found, ListCheckpoints(fs, folder));
  Status first;  // one that can't be read or removed does not keep the others
  bool unread = false;
  std::vector<Complete> complete;
  for (const FoundCheckpoint& checkpoint : found) {
    if (!checkpoint.complete) {
      if (checkpoint.name.attempt > attempt) continue;  // another job's, which may live
      KeepFirst(&first, RemoveCheckpoint(fs, checkpoint.path));
      continue;
    }
    auto manifest = ReadManifest(fs, checkpoint.path);
    // A damaged one stays, for a person to look at, and does not count as a newer one. One that can
    // not be read just now may be a delta, and any other one its base.
    KeepFirst(&first, manifest.status());
    if (manifest.ok()) complete.push_back({checkpoint, std::move(manifest).value()});
    unread = unread || (!manifest.ok() && manifest.status().code() != StatusCode::kCorrupt);
  }
  if (unread) return first.Wrap("removing older checkpoints");
  const std::set<std::string> kept = Kept(complete, retention);
  for (const Complete& checkpoint : complete) {
    if (kept.contains(checkpoint.manifest.name())) continue;
    KeepFirst(&first, RemoveCheckpoint(fs, checkpoint.found.path));
  }
  return first.Wrap("removing older checkpoints");
}

}  // namespace trestle
