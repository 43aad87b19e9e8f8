#include "tests/support/fault_filesystem.h"

#include <algorithm>
#include <utility>

namespace trestle {

// What calls and bytes there were, shared by the filesystem and its open files.
class FaultFileSystem::Disk {
 public:
  explicit Disk(const Faults& faults) : faults_(faults) {}

  // Counts a call; an error if it is one that fails.
  Status Count(const std::string& what, const std::string& path) {
    std::lock_guard lock(mutex_);
    ++calls_;
    const bool fails = faults_.fail_call > 0 && (faults_.only_once ? calls_ == faults_.fail_call
                                                                   : calls_ >= faults_.fail_call);
    if (!fails) return {};
    return {StatusCode::kIoError,
            "injected failure of call " + std::to_string(calls_) + " (" + what + " " + path + ")"};
  }

  // How many of `bytes` still fit; takes their space.
  int64_t Reserve(int64_t bytes) {
    std::lock_guard lock(mutex_);
    const int64_t fit = std::min(bytes, faults_.capacity - written_);
    written_ += fit;
    return fit;
  }

  int64_t calls() const {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  int64_t short_write() const { return faults_.short_write; }

 private:
  const Faults faults_;
  mutable std::mutex mutex_;
  int64_t calls_ = 0;
  int64_t written_ = 0;
};

class FaultFileSystem::File final : public WritableFile {
 public:
  File(std::unique_ptr<WritableFile> beneath, std::shared_ptr<Disk> disk, std::string path)
      : beneath_(std::move(beneath)), disk_(std::move(disk)), path_(std::move(path)) {}

  Status Append(std::span<const std::byte> bytes) override {
    if (Status injected = disk_->Count("append to", path_); !injected.ok()) {
      const auto kept = std::min(bytes.size(), static_cast<size_t>(disk_->short_write()));
      TRESTLE_RETURN_IF_ERROR(beneath_->Append(bytes.first(kept)));
      return injected;
    }
    const auto fit = static_cast<size_t>(disk_->Reserve(static_cast<int64_t>(bytes.size())));
    TRESTLE_RETURN_IF_ERROR(beneath_->Append(bytes.first(fit)));
    if (fit == bytes.size()) return {};
    return {StatusCode::kIoError, "no space left (injected): " + path_};
  }
  Status Sync() override {
    TRESTLE_RETURN_IF_ERROR(disk_->Count("sync", path_));
    return beneath_->Sync();
  }
  Status Close() override {
    TRESTLE_RETURN_IF_ERROR(disk_->Count("close", path_));
    return beneath_->Close();
  }

 private:
  std::unique_ptr<WritableFile> beneath_;
  std::shared_ptr<Disk> disk_;
  std::string path_;
};

FaultFileSystem::FaultFileSystem(FileSystem& beneath, const Faults& faults)
    : beneath_(beneath), disk_(std::make_shared<Disk>(faults)) {}
FaultFileSystem::~FaultFileSystem() = default;

int64_t FaultFileSystem::calls() const { return disk_->calls(); }

Result<std::unique_ptr<WritableFile>> FaultFileSystem::Wrap(
    Result<std::unique_ptr<WritableFile>> file, const std::string& path) {
  if (!file.ok()) return file.status();
  return std::unique_ptr<WritableFile>(
      std::make_unique<File>(std::move(file).value(), disk_, path));
}

Result<std::unique_ptr<WritableFile>> FaultFileSystem::Create(const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("create", path));
  return Wrap(beneath_.Create(path), path);
}
Result<std::unique_ptr<WritableFile>> FaultFileSystem::OpenAppend(const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("open", path));
  return Wrap(beneath_.OpenAppend(path), path);
}
Result<std::string> FaultFileSystem::Read(const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("read", path));
  return beneath_.Read(path);
}
Result<size_t> FaultFileSystem::ReadInto(const std::string& path, int64_t offset,
                                         std::span<std::byte> bytes) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("read", path));
  return beneath_.ReadInto(path, offset, bytes);
}
Result<int64_t> FaultFileSystem::Size(const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("stat", path));
  return beneath_.Size(path);
}
bool FaultFileSystem::Exists(const std::string& path) { return beneath_.Exists(path); }
Status FaultFileSystem::MakeDirectories(const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("make folder", path));
  return beneath_.MakeDirectories(path);
}
Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("rename", from));
  return beneath_.Rename(from, to);
}
Status FaultFileSystem::Remove(const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("remove", path));
  return beneath_.Remove(path);
}
Status FaultFileSystem::RemoveDirectory(const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("remove folder", path));
  return beneath_.RemoveDirectory(path);
}
Status FaultFileSystem::SyncDirectory(const std::string& path) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("sync folder", path));
  return beneath_.SyncDirectory(path);
}
Result<std::vector<std::string>> FaultFileSystem::List(const std::string& directory) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("list", directory));
  return beneath_.List(directory);
}
Result<std::vector<std::string>> FaultFileSystem::Glob(const std::string& pattern) {
  TRESTLE_RETURN_IF_ERROR(disk_->Count("search", pattern));
  return beneath_.Glob(pattern);
}

}  // namespace trestle
