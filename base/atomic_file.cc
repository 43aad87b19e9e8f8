#include "base/atomic_file.h"

#include <filesystem>

namespace trestle {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

}  // namespace

Result<std::unique_ptr<AtomicFile>> AtomicFile::Create(FileSystem& fs, const std::string& path) {
  const std::string temporary = fs.AppearsWhole(path) ? path : path + ".tmp";
  TRESTLE_ASSIGN_OR_RETURN(auto file, fs.Create(temporary));
  return std::unique_ptr<AtomicFile>(new AtomicFile(fs, path, temporary, std::move(file)));
}

AtomicFile::AtomicFile(FileSystem& fs, std::string path, std::string temporary,
                       std::unique_ptr<WritableFile> file)
    : fs_(fs), path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

AtomicFile::~AtomicFile() {
  if (!file_) return;
  file_ = nullptr;
  if (temporary_ == path_) return;  // never was
  // The error that left it unfinished is on its way to the user; that its rest stays too adds
  // nothing they could do.
  static_cast<void>(fs_.Remove(temporary_));
}

Status AtomicFile::Append(const void* data, size_t bytes) {
  piece_.append(static_cast<const char*>(data), bytes);
  bytes_ += static_cast<int64_t>(bytes);
  return piece_.size() < kPieceBytes ? Status() : Flush();
}

Status AtomicFile::Flush() {
  if (piece_.empty()) return {};
  TRESTLE_RETURN_IF_ERROR(file_->Append(std::as_bytes(std::span(piece_))));
  piece_.clear();
  return {};
}

Status AtomicFile::Commit() {
  TRESTLE_RETURN_IF_ERROR(Flush());
  TRESTLE_RETURN_IF_ERROR(file_->Sync());
  TRESTLE_RETURN_IF_ERROR(file_->Close());
  if (temporary_ != path_) TRESTLE_RETURN_IF_ERROR(fs_.Rename(temporary_, path_));
  file_ = nullptr;
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  return fs_.SyncDirectory(folder.empty() ? "." : folder);
}

Status WriteFileAtomically(FileSystem& fs, const std::string& path, std::string_view text) {
  TRESTLE_ASSIGN_OR_RETURN(const auto file, AtomicFile::Create(fs, path));
  TRESTLE_RETURN_IF_ERROR(file->Append(text));
  return file->Commit();
}

}  // namespace trestle
