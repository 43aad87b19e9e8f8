#include "base/filesystem.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace trestle {
namespace {

Status SystemError(const std::string& doing, const std::string& path, int error = errno) {
  const StatusCode code = error == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError;
  return {code, doing + " " + path + ": " + std::strerror(error)};
}

class LocalFile final : public WritableFile {
 public:
  LocalFile(int fd, std::string path)
      : fd_(fd), path_(std::move(path)), end_(std::max<off_t>(::lseek(fd, 0, SEEK_END), 0)) {}
  ~LocalFile() override {
    if (fd_ >= 0) ::close(fd_);
  }

  Status Append(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return SystemError("cannot write", path_);
      bytes = bytes.subspan(static_cast<size_t>(written));
      end_ += written;
    }
    return end_ - sent_ >= kSendBytes ? SendOut() : Status();
  }

  Status Sync() override {
    return ::fsync(fd_) == 0 ? Status() : SystemError("cannot sync", path_);
  }

  Status Close() override {
    const int fd = std::exchange(fd_, -1);
    return ::close(fd) == 0 ? Status() : SystemError("cannot close", path_);
  }

 private:
  static constexpr int64_t kSendBytes = 16 << 20;

  // The disk begins while more is written, so that Sync finds little to do; what it was sent before
  // leaves the page cache, so that a large file does not push out what others read, nor make the
  // system find fresh pages for all of it. Other filesystems than a disk's may not know it: Sync
  // does it all then.
  Status SendOut() {
    // An error that it tells here a Sync might not tell again.
    const auto range = [this](unsigned flags) -> Status {
      if (::sync_file_range(fd_, on_disk_, sent_ - on_disk_, flags) == 0) return {};
      const bool unknown = errno == ESPIPE || errno == EINVAL || errno == ENOSYS;
      return unknown ? Status() : SystemError("cannot write", path_);
    };
    if (sent_ > on_disk_) {
      TRESTLE_RETURN_IF_ERROR(range(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                    SYNC_FILE_RANGE_WAIT_AFTER));
      (void)::posix_fadvise(fd_, on_disk_, sent_ - on_disk_, POSIX_FADV_DONTNEED);
    }
    on_disk_ = std::exchange(sent_, end_);
    return range(SYNC_FILE_RANGE_WRITE);
  }

  int fd_;
  std::string path_;
  // Where the file ends, up to where the disk was sent it, and up to where it has it.
  off_t end_;
  off_t sent_ = end_, on_disk_ = end_;
};

class LocalLock final : public FileLock {
 public:
  explicit LocalLock(int fd) : fd_(fd) {}
  ~LocalLock() override { ::close(fd_); }

 private:
  const int fd_;
};

Result<std::unique_ptr<WritableFile>> OpenLocal(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (fd < 0) return SystemError("cannot create", path);
  return std::unique_ptr<WritableFile>(std::make_unique<LocalFile>(fd, path));
}

// What stopped the ::glob that runs on this thread, which hands its callback no pointer of ours.
thread_local std::pair<std::string, int> unreadable_folder;

// Not zero ends the search: fewer files than there are must not pass for all. A folder that does
// not exist holds no matches (so does a file in a folder's place; glob does not ask about that).
int OnGlobError(const char* folder, int error) {
  if (error == ENOENT) return 0;
  unreadable_folder = {folder, error};
  return 1;
}

class LocalFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    return OpenLocal(path, O_TRUNC);
  }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override {
    return OpenLocal(path, O_APPEND);
  }

  Result<std::string> Read(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return SystemError("cannot open", path);
    std::string text;
    char buffer[1 << 16];
    ssize_t count = 0;
    while ((count = ::read(fd, buffer, sizeof(buffer))) != 0) {
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) break;
      text.append(buffer, static_cast<size_t>(count));
    }
    const int error = errno;
    ::close(fd);
    if (count < 0) return SystemError("cannot read", path, error);
    return text;
  }

  Result<size_t> ReadInto(const std::string& path, int64_t offset,
                          std::span<std::byte> bytes) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return SystemError("cannot open", path);
    size_t done = 0;
    ssize_t count = 0;
    while (done < bytes.size()) {
      count = ::pread(fd, bytes.data() + done, bytes.size() - done,
                      static_cast<off_t>(offset) + static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    const int error = errno;
    ::close(fd);
    if (count < 0) return SystemError("cannot read", path, error);
    return done;
  }

  Result<int64_t> Size(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return SystemError("cannot stat", path);
    return static_cast<int64_t>(info.st_size);
  }

  bool Exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  Status MakeDirectories(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    return error ? SystemError("cannot create folder", path, error.value()) : Status();
  }

  Status Rename(const std::string& from, const std::string& to) override {
    return ::rename(from.c_str(), to.c_str()) == 0 ? Status() : SystemError("cannot rename", from);
  }

  Status Remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? Status() : SystemError("cannot remove", path);
  }

  Status RemoveDirectory(const std::string& path) override {
    return ::rmdir(path.c_str()) == 0 ? Status() : SystemError("cannot remove folder", path);
  }

  Status SyncDirectory(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return SystemError("cannot open", path);
    const int failed = ::fsync(fd);
    const int error = errno;
    ::close(fd);
    return failed ? SystemError("cannot sync", path, error) : Status();
  }

  Result<std::unique_ptr<FileLock>> TryLock(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return SystemError("cannot open", path);
    auto lock = std::make_unique<LocalLock>(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return std::unique_ptr<FileLock>(std::move(lock));
    if (errno == EWOULDBLOCK) return std::unique_ptr<FileLock>();
    const bool none = errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP;
    const Status failure = SystemError("cannot lock", path);
    return none ? Status(StatusCode::kUnsupported, failure.root_message()) : failure;
  }

  Result<std::vector<std::string>> List(const std::string& directory) override {
    std::error_code error;
    std::filesystem::directory_iterator it(directory, error);
    std::vector<std::string> names;
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return SystemError("cannot list", directory, error.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<std::vector<std::string>> Glob(const std::string& pattern) override {
    glob_t found = {};
    unreadable_folder = {};
    const int failed = ::glob(pattern.c_str(), 0, OnGlobError, &found);
    std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    if (failed == GLOB_ABORTED) {
      const auto& [folder, error] = unreadable_folder;
      return SystemError("cannot list", folder, error).Wrap("cannot search " + pattern);
    }
    if (failed == GLOB_NOSPACE) return SystemError("cannot search", pattern, ENOMEM);
    std::sort(paths.begin(), paths.end());
    return paths;
  }
};

}  // namespace

bool FileSystem::AppearsWhole(const std::string&) { return false; }

Result<size_t> FileSystem::ReadInto(const std::string& path, int64_t offset,
                                    std::span<std::byte> bytes) {
  TRESTLE_ASSIGN_OR_RETURN(const std::string text, Read(path));
  const auto begin = std::min(static_cast<size_t>(offset), text.size());
  const size_t count = std::min(bytes.size(), text.size() - begin);
  std::memcpy(bytes.data(), text.data() + begin, count);
  return count;
}

Result<std::string> FileSystem::ReadRange(const std::string& path, int64_t offset, int64_t bytes) {
  std::string text(static_cast<size_t>(bytes), '\0');
  TRESTLE_ASSIGN_OR_RETURN(const size_t count,
                           ReadInto(path, offset, std::as_writable_bytes(std::span(text))));
  text.resize(count);
  return text;
}

Status FileSystem::RemoveDirectory(const std::string& path) {
  return {StatusCode::kUnsupported, "cannot remove folder " + path + ": not on this filesystem"};
}

Result<std::unique_ptr<FileLock>> FileSystem::TryLock(const std::string& path) {
  return Status(StatusCode::kUnsupported, "cannot lock " + path + ": not on this filesystem");
}

Status MakeDurableDirectories(FileSystem& fs, const std::string& path) {
  std::vector<std::string> changed;  // the innermost first
  std::filesystem::path folder = path;
  if (!folder.has_filename()) folder = folder.parent_path();
  while (!folder.empty() && !fs.Exists(folder.string())) {
    folder = folder.parent_path();
    changed.push_back(folder.empty() ? "." : folder.string());
  }
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(path));
  for (const std::string& parent : changed) TRESTLE_RETURN_IF_ERROR(fs.SyncDirectory(parent));
  return {};
}

FileSystem& FileSystem::Local() {
  static LocalFileSystem fs;
  return fs;
}

}  // namespace trestle
