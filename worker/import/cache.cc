#include "worker/import/cache.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>

#include "base/atomic_file.h"
#include "base/sealed_json.h"

namespace trestle {
namespace {

constexpr char kManifest[] = "MANIFEST.json";
constexpr char kPart[] = "part-";
constexpr char kInUse[] = "in-use-";
constexpr std::chrono::milliseconds kAskAgain{100};
constexpr std::chrono::hours kLongestImport{24};  // as long as other ranks wait for it

std::string PartName(int number) {
  char name[16];
  std::snprintf(name, sizeof(name), "%s%05d", kPart, number);
  return name;
}

// 0 if it is no part's.
int PartNumber(const std::string& name) {
  if (!name.starts_with(kPart)) return 0;
  const int number = std::atoi(name.c_str() + std::strlen(kPart));
  return name == PartName(number) ? number : 0;
}

// Asked while the cache is locked, so no job begins to read it meanwhile.
Result<bool> IsInUse(FileSystem& fs, const std::string& folder) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) {
    if (!name.starts_with(kInUse)) continue;
    const auto lock = fs.TryLock(folder + "/" + name);
    if (lock.ok() && *lock == nullptr) return true;
    if (!lock.ok() && lock.status().code() != StatusCode::kUnsupported) return lock.status();
  }
  return false;
}

}  // namespace

Result<CacheManifest> ReadCacheManifest(FileSystem& fs, const std::string& folder) {
  const std::string path = folder + "/" + kManifest;
  CacheManifest manifest;
  const auto text = fs.Read(path);
  if (text.status().code() == StatusCode::kNotFound) return manifest;
  TRESTLE_RETURN_IF_ERROR(text.status());
  const auto corrupt = [&](const std::string& what) {
    return Status(StatusCode::kCorrupt,
                  path + ": " + what + "; remove the file, and the import starts again");
  };
  const std::string json = UnsealedJson(*text);
  if (json.empty()) return corrupt("its checksum does not fit: cut or changed");
  const auto parsed = google::protobuf::util::JsonStringToMessage(json, &manifest);
  if (!parsed.ok()) return corrupt(std::string(parsed.message()));
  if (manifest.format() != kCacheFormat) {
    return corrupt("format " + std::to_string(manifest.format()) + ", this program reads format " +
                   std::to_string(kCacheFormat));
  }
  return manifest;
}

Status WriteCacheManifest(FileSystem& fs, const std::string& folder,
                          const CacheManifest& manifest) {
  return WriteFileAtomically(fs, folder + "/" + kManifest, SealedJson(manifest));
}

std::string PartFolder(const std::string& folder, int number) {
  return folder + "/" + PartName(number);
}

Result<int> NextPartNumber(FileSystem& fs, const std::string& folder,
                           const CacheManifest& manifest) {
  int next = std::max(manifest.next_part(), 1);
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) next = std::max(next, PartNumber(name) + 1);
  return next;
}

Status RemovePart(FileSystem& fs, const std::string& folder, int number) {
  const std::string part = PartFolder(folder, number);
  if (!fs.Exists(part)) return {};
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(part));
  for (const std::string& name : names) TRESTLE_RETURN_IF_ERROR(fs.Remove(part + "/" + name));
  return fs.RemoveDirectory(part);
}

Status RemoveUnlistedParts(FileSystem& fs, const std::string& folder,
                           const CacheManifest& manifest) {
  TRESTLE_ASSIGN_OR_RETURN(const bool in_use, IsInUse(fs, folder));
  if (in_use) return {};  // a later import removes them
  std::set<int> listed = {0};
  for (const CachePart& part : manifest.parts()) listed.insert(part.number());
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) {
    if (listed.contains(PartNumber(name))) continue;
    TRESTLE_RETURN_IF_ERROR(RemovePart(fs, folder, PartNumber(name)));
  }
  return {};
}

void SleepFor(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

Result<std::unique_ptr<FileLock>> LockCache(
    FileSystem& fs, const std::string& folder, const std::function<void(const std::string&)>& say,
    const std::function<void(std::chrono::milliseconds)>& sleep) {
  for (auto waited = kAskAgain.zero(); waited < kLongestImport; waited += kAskAgain) {
    auto lock = fs.TryLock(folder + "/lock");
    if (lock.status().code() == StatusCode::kUnsupported) return std::unique_ptr<FileLock>();
    if (!lock.ok() || *lock != nullptr) return lock;
    if (waited == kAskAgain.zero() && say) say("waiting for another import into " + folder);
    sleep(kAskAgain);
  }
  return Status(StatusCode::kDeadlineExceeded,
                "another import into " + folder +
                    " has not ended in a day; end it, or set another data.cache");
}

Result<std::unique_ptr<FileLock>> UseCache(FileSystem& fs, const std::string& folder) {
  for (int i = 1;; ++i) {
    auto lock = fs.TryLock(folder + "/" + kInUse + std::to_string(i));
    if (lock.status().code() == StatusCode::kUnsupported) return std::unique_ptr<FileLock>();
    if (!lock.ok() || *lock != nullptr) return lock;
  }
}

}  // namespace trestle
