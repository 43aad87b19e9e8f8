#include "tests/support/recording_filesystem.h"

#include <fnmatch.h>
#include <glog/logging.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <utility>

namespace trestle {
namespace {

constexpr int kRoot = 0;
constexpr int kNone = -1;

// A file or a folder; its number is its place in Image::inodes.
struct Inode {
  bool folder = false;
  std::string data;
  std::map<std::string, int> entries;
};

struct Image {
  std::vector<Inode> inodes = {Inode{true, "", {}}};
};

// A name in a folder, and what it is to stand for (kNone: nothing).
struct Entry {
  int folder = kNone;
  std::string name;
  int inode = kNone;
};

struct Operation {
  enum Kind { kNames, kTruncate, kAppend, kSync, kClose, kSyncFolder };
  Kind kind;
  std::string text;
  int inode = kNone;           // of a file's operation, or the folder that is synced
  std::vector<Entry> entries;  // kNames: changed together or not at all
  std::string bytes;           // kAppend
};

std::vector<std::string> Parts(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, end - at);
    if (!part.empty() && part != ".") parts.push_back(part);
    at = end + 1;
  }
  return parts;
}

void Apply(Image* image, const Entry& entry) {
  auto& entries = image->inodes[static_cast<size_t>(entry.folder)].entries;
  if (entry.inode == kNone) {
    entries.erase(entry.name);
  } else {
    entries[entry.name] = entry.inode;
  }
}

Status NotFound(const std::string& path) {
  return {StatusCode::kNotFound, path + ": no such file or folder"};
}

// A crash as it is worked out: an image of what was durable and what was done since.
class Wreck {
 public:
  Wreck(const Image& before, size_t inodes, const Crash& crash)
      : image_(before), crash_(crash), random_(crash.seed) {
    image_.inodes.resize(inodes);
    unsynced_.resize(inodes);
  }

  void Do(const Operation& operation, const Image& live) {
    switch (operation.kind) {
      case Operation::kNames:
        for (const Entry& entry : operation.entries) {
          if (entry.inode == kNone) continue;
          const auto inode = static_cast<size_t>(entry.inode);
          image_.inodes[inode].folder = live.inodes[inode].folder;
        }
        changes_.push_back({&operation, false});
        break;
      case Operation::kTruncate:
      case Operation::kAppend:
        unsynced_[static_cast<size_t>(operation.inode)].push_back(&operation);
        break;
      case Operation::kSync:
        Write(static_cast<size_t>(operation.inode), NotDurable::kKept);
        break;
      case Operation::kSyncFolder:
        for (Change& change : changes_) change.durable |= Touches(*change.what, operation.inode);
        break;
      case Operation::kClose:
        break;
    }
  }

  Image Finish() {
    for (size_t inode = 0; inode < unsynced_.size(); ++inode) Write(inode, crash_.data);
    for (const Change& change : changes_) {
      if (!change.durable && !Survives()) continue;
      for (const Entry& entry : change.what->entries) Apply(&image_, entry);
    }
    return std::move(image_);
  }

 private:
  struct Change {
    const Operation* what;
    bool durable;
  };

  static bool Touches(const Operation& change, int folder) {
    return std::any_of(change.entries.begin(), change.entries.end(),
                       [&](const Entry& entry) { return entry.folder == folder; });
  }

  bool Survives() {
    return crash_.names == NotDurable::kKept ||
           (crash_.names == NotDurable::kRandom && Random(2) == 0);
  }

  size_t Random(size_t below) { return static_cast<size_t>(random_() % below); }

  // Does to a file's data what was not synced, as far as `how` says.
  void Write(size_t inode, NotDurable how) {
    std::string& data = image_.inodes[inode].data;
    auto& todo = unsynced_[inode];
    size_t count = how == NotDurable::kLost ? 0 : todo.size();
    if (how == NotDurable::kRandom) count = Random(todo.size() + 1);
    size_t fresh = data.size();  // from here on it is new
    for (size_t i = 0; i < count; ++i) {
      data = todo[i]->kind == Operation::kTruncate ? "" : data + todo[i]->bytes;
      fresh = std::min(fresh, data.size());
    }
    todo.clear();
    if (how != NotDurable::kRandom || data.size() == fresh) return;
    data.resize(fresh + Random(data.size() - fresh + 1));
    if (data.size() == fresh || Random(2) == 0) return;
    const size_t hole = fresh + Random(data.size() - fresh);
    std::fill(data.begin() + static_cast<std::ptrdiff_t>(hole),
              data.begin() + static_cast<std::ptrdiff_t>(hole + Random(data.size() - hole) + 1),
              '\0');
  }

  Image image_;
  const Crash crash_;
  std::mt19937_64 random_;
  std::vector<std::vector<const Operation*>> unsynced_;  // of each inode
  std::vector<Change> changes_;
};

}  // namespace

class RecordingFileSystem::Disk {
 public:
  explicit Disk(Image image) : before_(image), live_(std::move(image)) {}

  std::mutex& mutex() const { return mutex_; }

  // Of everything below, the caller holds the mutex.

  int Find(const std::string& path) const { return Find(Parts(path)); }
  const Inode& at(int inode) const { return live_.inodes[static_cast<size_t>(inode)]; }

  // The folder that holds the path's last part, and that part.
  Result<Entry> Place(const std::string& path) const {
    std::vector<std::string> parts = Parts(path);
    if (parts.empty()) return Status(StatusCode::kIoError, path + ": is the root");
    Entry entry;
    entry.name = parts.back();
    parts.pop_back();
    entry.folder = Find(parts);
    if (entry.folder == kNone) return NotFound(path);
    if (!at(entry.folder).folder) {
      return Status(StatusCode::kIoError, path + ": its parent is no folder");
    }
    const auto found = at(entry.folder).entries.find(entry.name);
    entry.inode = found == at(entry.folder).entries.end() ? kNone : found->second;
    return entry;
  }

  int Make(bool folder) {
    live_.inodes.push_back(Inode{folder, "", {}});
    return static_cast<int>(live_.inodes.size()) - 1;
  }
  void Do(Operation operation) {
    for (const Entry& entry : operation.entries) Apply(&live_, entry);
    if (operation.kind == Operation::kTruncate) Data(operation.inode).clear();
    if (operation.kind == Operation::kAppend) Data(operation.inode) += operation.bytes;
    operations_.push_back(std::move(operation));
  }

  Result<int> FindFile(const std::string& path) const {
    const int inode = Find(path);
    if (inode == kNone) return NotFound(path);
    if (at(inode).folder) return Status(StatusCode::kIoError, path + ": is a folder");
    return inode;
  }
  Result<int> FindFolder(const std::string& path) const {
    const int inode = Find(path);
    if (inode == kNone) return NotFound(path);
    if (!at(inode).folder) return Status(StatusCode::kIoError, path + ": is no folder");
    return inode;
  }

  // Paths of everything below a folder.
  void Walk(int folder, const std::string& prefix, std::vector<std::string>* paths) const {
    for (const auto& [name, inode] : at(folder).entries) {
      paths->push_back(prefix + name);
      if (at(inode).folder) Walk(inode, prefix + name + "/", paths);
    }
  }

  const std::vector<Operation>& operations() const { return operations_; }

  Image AfterCrash(int64_t operations, const Crash& crash) const {
    Wreck wreck(before_, live_.inodes.size(), crash);
    for (int64_t i = 0; i < operations; ++i) wreck.Do(operations_[static_cast<size_t>(i)], live_);
    return wreck.Finish();
  }

 private:
  std::string& Data(int inode) { return live_.inodes[static_cast<size_t>(inode)].data; }

  int Find(const std::vector<std::string>& parts) const {
    int inode = kRoot;
    for (const std::string& part : parts) {
      const auto found = at(inode).entries.find(part);
      if (found == at(inode).entries.end()) return kNone;
      inode = found->second;
    }
    return inode;
  }

  mutable std::mutex mutex_;
  const Image before_;
  Image live_;
  std::vector<Operation> operations_;
};

class RecordingFileSystem::File final : public WritableFile {
 public:
  File(std::shared_ptr<Disk> disk, int inode, std::string path)
      : disk_(std::move(disk)), inode_(inode), path_(std::move(path)) {}

  Status Append(std::span<const std::byte> bytes) override {
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string what = "append " + std::to_string(bytes.size()) + " bytes to ";
    return Do({Operation::kAppend, what + path_, inode_, {}, std::move(text)});
  }
  Status Sync() override { return Do({Operation::kSync, "sync " + path_, inode_, {}, ""}); }
  Status Close() override { return Do({Operation::kClose, "close " + path_, inode_, {}, ""}); }

 private:
  Status Do(Operation operation) {
    const std::lock_guard lock(disk_->mutex());
    disk_->Do(std::move(operation));
    return {};
  }

  const std::shared_ptr<Disk> disk_;
  const int inode_;
  const std::string path_;
};

RecordingFileSystem::RecordingFileSystem() : disk_(std::make_shared<Disk>(Image())) {}
RecordingFileSystem::RecordingFileSystem(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
RecordingFileSystem::~RecordingFileSystem() = default;

int64_t RecordingFileSystem::operations() const {
  const std::lock_guard lock(disk_->mutex());
  return static_cast<int64_t>(disk_->operations().size());
}

std::string RecordingFileSystem::Describe(int64_t operation) const {
  const std::lock_guard lock(disk_->mutex());
  return disk_->operations().at(static_cast<size_t>(operation)).text;
}

std::unique_ptr<RecordingFileSystem> RecordingFileSystem::AfterCrash(int64_t operations,
                                                                     const Crash& crash) const {
  const std::lock_guard lock(disk_->mutex());
  CHECK_LE(operations, static_cast<int64_t>(disk_->operations().size()));
  return std::unique_ptr<RecordingFileSystem>(
      new RecordingFileSystem(std::make_shared<Disk>(disk_->AfterCrash(operations, crash))));
}

Result<std::unique_ptr<WritableFile>> RecordingFileSystem::Create(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(Entry entry, disk_->Place(path));
  if (entry.inode == kNone) {
    entry.inode = disk_->Make(false);
    disk_->Do({Operation::kNames, "create " + path, entry.inode, {entry}, ""});
  } else {
    TRESTLE_ASSIGN_OR_RETURN(entry.inode, disk_->FindFile(path));
    disk_->Do({Operation::kTruncate, "truncate " + path, entry.inode, {}, ""});
  }
  return std::unique_ptr<WritableFile>(std::make_unique<File>(disk_, entry.inode, path));
}

Result<std::unique_ptr<WritableFile>> RecordingFileSystem::OpenAppend(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(Entry entry, disk_->Place(path));
  if (entry.inode == kNone) {
    entry.inode = disk_->Make(false);
    disk_->Do({Operation::kNames, "create " + path, entry.inode, {entry}, ""});
  }
  TRESTLE_ASSIGN_OR_RETURN(entry.inode, disk_->FindFile(path));
  return std::unique_ptr<WritableFile>(std::make_unique<File>(disk_, entry.inode, path));
}

Result<std::string> RecordingFileSystem::Read(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(const int inode, disk_->FindFile(path));
  return disk_->at(inode).data;
}

Result<int64_t> RecordingFileSystem::Size(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(const int inode, disk_->FindFile(path));
  return static_cast<int64_t>(disk_->at(inode).data.size());
}

bool RecordingFileSystem::Exists(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  return disk_->Find(path) != kNone;
}

Status RecordingFileSystem::MakeDirectories(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  std::string below;
  for (const std::string& part : Parts(path)) {
    below += "/" + part;
    TRESTLE_ASSIGN_OR_RETURN(Entry entry, disk_->Place(below));
    if (entry.inode != kNone) {
      TRESTLE_RETURN_IF_ERROR(disk_->FindFolder(below).status());
      continue;
    }
    entry.inode = disk_->Make(true);
    disk_->Do({Operation::kNames, "make folder " + below, entry.inode, {entry}, ""});
  }
  return {};
}

Status RecordingFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(Entry source, disk_->Place(from));
  TRESTLE_ASSIGN_OR_RETURN(Entry target, disk_->Place(to));
  if (source.inode == kNone) return NotFound(from);
  if (target.inode != kNone && (disk_->at(target.inode).folder || disk_->at(source.inode).folder)) {
    return {StatusCode::kIoError, to + ": exists, cannot rename " + from};
  }
  target.inode = std::exchange(source.inode, kNone);
  disk_->Do(
      {Operation::kNames, "rename " + from + " to " + to, target.inode, {source, target}, ""});
  return {};
}

Status RecordingFileSystem::Remove(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(const int inode, disk_->FindFile(path));
  TRESTLE_ASSIGN_OR_RETURN(Entry entry, disk_->Place(path));
  entry.inode = kNone;
  disk_->Do({Operation::kNames, "remove " + path, inode, {entry}, ""});
  return {};
}

Status RecordingFileSystem::RemoveDirectory(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(const int inode, disk_->FindFolder(path));
  if (!disk_->at(inode).entries.empty()) return {StatusCode::kIoError, path + ": is not empty"};
  TRESTLE_ASSIGN_OR_RETURN(Entry entry, disk_->Place(path));
  entry.inode = kNone;
  disk_->Do({Operation::kNames, "remove folder " + path, inode, {entry}, ""});
  return {};
}

Status RecordingFileSystem::SyncDirectory(const std::string& path) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(const int folder, disk_->FindFolder(path));
  disk_->Do({Operation::kSyncFolder, "sync folder " + path, folder, {}, ""});
  return {};
}

Result<std::vector<std::string>> RecordingFileSystem::List(const std::string& directory) {
  const std::lock_guard lock(disk_->mutex());
  TRESTLE_ASSIGN_OR_RETURN(const int folder, disk_->FindFolder(directory));
  std::vector<std::string> names;
  for (const auto& [name, inode] : disk_->at(folder).entries) names.push_back(name);
  return names;
}

Result<std::vector<std::string>> RecordingFileSystem::Glob(const std::string& pattern) {
  const std::lock_guard lock(disk_->mutex());
  std::vector<std::string> all, matching;
  disk_->Walk(kRoot, "/", &all);
  for (const std::string& path : all) {
    if (::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) matching.push_back(path);
  }
  std::sort(matching.begin(), matching.end());
  return matching;
}

}  // namespace trestle
