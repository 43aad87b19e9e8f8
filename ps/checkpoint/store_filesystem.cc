#include "ps/checkpoint/store_filesystem.h"

#include <arrow/buffer.h>
#include <arrow/filesystem/filesystem.h>
#ifdef TRESTLE_ARROW_S3
#include <arrow/filesystem/s3fs.h>
#endif
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace trestle {
namespace {

constexpr std::string_view kSchemeEnd = "://";

Status FromArrow(const arrow::Status& status, const std::string& path) {
  if (status.ok()) return {};
  std::string reason = status.message();
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  return {status.IsOutOfMemory() ? StatusCode::kOutOfMemory : StatusCode::kIoError,
          path + ": " + reason};
}

class StoreFile final : public WritableFile {
 public:
  StoreFile(std::shared_ptr<arrow::io::OutputStream> stream, std::string path)
      : stream_(std::move(stream)), path_(std::move(path)) {}
  ~StoreFile() override {
    if (!stream_->closed()) (void)stream_->Abort();  // half a file never becomes one
  }
  Status Append(std::span<const std::byte> bytes) override {
    return FromArrow(stream_->Write(bytes.data(), static_cast<int64_t>(bytes.size())), path_);
  }
  Status Sync() override { return {}; }
  Status Close() override { return FromArrow(stream_->Close(), path_); }

 private:
  const std::shared_ptr<arrow::io::OutputStream> stream_;
  const std::string path_;
};

// One store: of a scheme and host.
class Store final : public FileSystem {
 public:
  Store(std::shared_ptr<arrow::fs::FileSystem> fs, std::string prefix)
      : fs_(std::move(fs)), prefix_(std::move(prefix)) {}

  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    auto stream = fs_->OpenOutputStream(Inside(path));
    if (!stream.ok()) return FromArrow(stream.status(), path);
    return std::unique_ptr<WritableFile>(std::make_unique<StoreFile>(*std::move(stream), path));
  }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override {
    return Status(StatusCode::kUnsupported, path + ": an object store cannot append to a file");
  }
  Result<std::string> Read(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(const int64_t size, Size(path));
    return ReadRange(path, 0, size);
  }
  Result<size_t> ReadInto(const std::string& path, int64_t offset,
                          std::span<std::byte> bytes) override {
    TRESTLE_RETURN_IF_ERROR(Size(path).status());
    auto file = fs_->OpenInputFile(Inside(path));
    if (!file.ok()) return FromArrow(file.status(), path);
    const auto read = (*file)->ReadAt(offset, static_cast<int64_t>(bytes.size()), bytes.data());
    if (!read.ok()) return FromArrow(read.status(), path);
    return static_cast<size_t>(*read);
  }
  Result<int64_t> Size(const std::string& path) override {
    const auto info = fs_->GetFileInfo(Inside(path));
    if (!info.ok()) return FromArrow(info.status(), path);
    if (info->IsFile()) return info->size();
    return Status(StatusCode::kNotFound, "cannot open " + path + ": no such file");
  }
  bool Exists(const std::string& path) override {
    const auto info = fs_->GetFileInfo(Inside(path));
    return info.ok() && info->type() != arrow::fs::FileType::NotFound;
  }
  bool AppearsWhole(const std::string&) override { return true; }
  Status MakeDirectories(const std::string& path) override {
    return FromArrow(fs_->CreateDir(Inside(path), /*recursive=*/true), path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return FromArrow(fs_->Move(Inside(from), Inside(to)), from);
  }
  Status Remove(const std::string& path) override {
    return FromArrow(fs_->DeleteFile(Inside(path)), path);
  }
  Status RemoveDirectory(const std::string& path) override {
    return FromArrow(fs_->DeleteDir(Inside(path)), path);
  }
  Status SyncDirectory(const std::string&) override { return {}; }
  Result<std::vector<std::string>> List(const std::string& directory) override {
    if (!Exists(directory)) {
      return Status(StatusCode::kNotFound, "cannot list " + directory + ": no such folder");
    }
    arrow::fs::FileSelector selector;
    selector.base_dir = Inside(directory);
    const auto infos = fs_->GetFileInfo(selector);
    if (!infos.ok()) return FromArrow(infos.status(), directory);
    std::vector<std::string> names;
    for (const arrow::fs::FileInfo& info : *infos) names.push_back(info.base_name());
    std::sort(names.begin(), names.end());
    return names;
  }
  Result<std::vector<std::string>> Glob(const std::string& pattern) override {
    return Status(StatusCode::kUnsupported, pattern + ": no patterns in an object store");
  }

 private:
  // The path that Arrow's file system knows it by.
  std::string Inside(const std::string& path) const { return path.substr(prefix_.size()); }

  const std::shared_ptr<arrow::fs::FileSystem> fs_;
  const std::string prefix_;  // of the URIs: "s3://"
};

// Picks by the path.
class StoreFileSystem final : public FileSystem {
 public:
  explicit StoreFileSystem(FileSystem& beneath) : beneath_(beneath) {}
#ifdef TRESTLE_ARROW_S3
  // S3 has threads, which must end before the process does; it does not start again after that.
  ~StoreFileSystem() override {
    const bool used = stores_.contains("s3://");
    stores_.clear();
    if (used) (void)arrow::fs::EnsureS3Finalized();
  }
#endif

  Result<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->Create(path);
  }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->OpenAppend(path);
  }
  Result<std::string> Read(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->Read(path);
  }
  Result<size_t> ReadInto(const std::string& path, int64_t offset,
                          std::span<std::byte> bytes) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->ReadInto(path, offset, bytes);
  }
  Result<int64_t> Size(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->Size(path);
  }
  bool Exists(const std::string& path) override {
    const auto fs = Of(path);
    return fs.ok() && (*fs)->Exists(path);
  }
  bool AppearsWhole(const std::string& path) override {
    const auto fs = Of(path);
    return fs.ok() && (*fs)->AppearsWhole(path);
  }
  Status MakeDirectories(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->MakeDirectories(path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(from));
    return fs->Rename(from, to);
  }
  Status Remove(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->Remove(path);
  }
  Status RemoveDirectory(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->RemoveDirectory(path);
  }
  Status SyncDirectory(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->SyncDirectory(path);
  }
  Result<std::unique_ptr<FileLock>> TryLock(const std::string& path) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(path));
    return fs->TryLock(path);
  }
  Result<std::vector<std::string>> List(const std::string& directory) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(directory));
    return fs->List(directory);
  }
  Result<std::vector<std::string>> Glob(const std::string& pattern) override {
    TRESTLE_ASSIGN_OR_RETURN(FileSystem* const fs, Of(pattern));
    return fs->Glob(pattern);
  }

 private:
  // Opened at the first use, one a scheme.
  Result<FileSystem*> Of(const std::string& path) {
    if (!IsStoreUri(path)) return &beneath_;
    const std::string prefix = path.substr(0, path.find(kSchemeEnd) + kSchemeEnd.size());
    std::lock_guard lock(mutex_);
    std::unique_ptr<Store>& store = stores_[prefix];
    if (!store) {
      auto opened = arrow::fs::FileSystemFromUri(path);
      if (!opened.ok()) {
        return Status(StatusCode::kUnsupported,
                      "cannot open " + path + ": " + opened.status().message());
      }
      store = std::make_unique<Store>(*std::move(opened), prefix);
    }
    return store.get();
  }

  FileSystem& beneath_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Store>> stores_;
};

}  // namespace

bool IsStoreUri(const std::string& path) { return path.find(kSchemeEnd) != std::string::npos; }

std::unique_ptr<FileSystem> MakeStoreFileSystem(FileSystem& beneath) {
  return std::make_unique<StoreFileSystem>(beneath);
}

}  // namespace trestle
