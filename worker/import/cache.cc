#include "worker/import/cache.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>
#include <utility>

#include "base/atomic_file.h"
#include "base/sealed_json.h"

namespace trestle {
namespace {

constexpr char kManifest[] = "MANIFEST.json";
constexpr char kPart[] = "part-";

std::string PartName(int number) {
  char name[16];
  std::snprintf(name, sizeof(name), "%s%05d", kPart, number);
  return name;
}

Status RemovePart(FileSystem& fs, const std::string& folder) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) TRESTLE_RETURN_IF_ERROR(fs.Remove(folder + "/" + name));
  return fs.RemoveDirectory(folder);
}

bool IsPartName(const std::string& name) {
  return name.starts_with(kPart) && name == PartName(std::atoi(name.c_str() + std::strlen(kPart)));
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

Status RemoveUnlistedParts(FileSystem& fs, const std::string& folder,
                           const CacheManifest& manifest) {
  std::set<std::string> listed;
  for (const CachePart& part : manifest.parts()) listed.insert(PartName(part.number()));
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) {
    if (!IsPartName(name) || listed.contains(name)) continue;
    TRESTLE_RETURN_IF_ERROR(RemovePart(fs, folder + "/" + name));
  }
  return {};
}

Result<CacheLock> CacheLock::Take(const std::string& folder) {
  const std::string path = folder + "/lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    return Status(StatusCode::kIoError, "cannot create " + path + ": " + std::strerror(errno));
  }
  CacheLock lock(fd);
  int failed = 0;
  do {
    failed = ::flock(fd, LOCK_EX);
  } while (failed != 0 && errno == EINTR);
  // Where a filesystem has no locks, two imports into one folder are the user's to avoid.
  if (failed != 0 && errno != ENOLCK && errno != ENOTSUP && errno != EINVAL) {
    return Status(StatusCode::kIoError, "cannot lock " + path + ": " + std::strerror(errno));
  }
  return lock;
}

CacheLock::~CacheLock() {
  if (fd_ >= 0) ::close(fd_);
}

CacheLock::CacheLock(CacheLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

}  // namespace trestle
