#include "ps/checkpoint/hashed_file.h"

#include <utility>

namespace trestle {
namespace {

// Large pieces go to the file as they are, small ones are copied together.
constexpr size_t kPieceBytes = 4 << 20;
constexpr size_t kLargeBytes = 256 << 10;

}  // namespace

Result<std::unique_ptr<HashedFile>> HashedFile::Create(FileSystem& fs, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(auto file, fs.Create(path));
  return std::unique_ptr<HashedFile>(new HashedFile(std::move(file)));
}

Status HashedFile::Append(std::span<const std::byte> bytes) {
  hasher_.Update(bytes);
  bytes_ += static_cast<int64_t>(bytes.size());
  if (bytes.size() >= kLargeBytes) {
    TRESTLE_RETURN_IF_ERROR(Flush());
    return file_->Append(bytes);
  }
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  return pending_.size() >= kPieceBytes ? Flush() : Status();
}

Status HashedFile::Flush() {
  if (pending_.empty()) return {};
  TRESTLE_RETURN_IF_ERROR(file_->Append(pending_));
  pending_.clear();
  return {};
}

Result<std::string> HashedFile::Finish() {
  TRESTLE_RETURN_IF_ERROR(Flush());
  TRESTLE_RETURN_IF_ERROR(file_->Sync());
  TRESTLE_RETURN_IF_ERROR(file_->Close());
  return hasher_.Hex();
}

Status CorruptFile(const std::string& path, const std::string& what) {
  return {StatusCode::kCorrupt, path + ": " + what};
}

Status CheckFileSize(FileSystem& fs, const std::string& path, int64_t bytes) {
  const std::string expected = "expected " + std::to_string(bytes);
  const auto size = fs.Size(path);
  if (!size.ok() && size.status().code() == StatusCode::kNotFound) {
    return CorruptFile(path, "missing, " + expected + " bytes");
  }
  TRESTLE_RETURN_IF_ERROR(size.status());
  if (*size == bytes) return {};
  return CorruptFile(path, std::to_string(*size) + " bytes, " + expected + ": " +
                               (*size < bytes ? "cut" : "longer than it was written"));
}

Status CheckHash(const std::string& path, const std::string& part, const std::string& expected,
                 const std::string& found) {
  if (found == expected) return {};
  return CorruptFile(path, part + (part.empty() ? "" : " ") + "XXH3-128 is " + found +
                               ", expected " + expected + ": changed");
}

Status ReadExactly(FileSystem& fs, const std::string& path, int64_t offset,
                   std::span<std::byte> bytes) {
  TRESTLE_ASSIGN_OR_RETURN(const size_t read, fs.ReadInto(path, offset, bytes));
  if (read == bytes.size()) return {};
  return CorruptFile(path, "ends at byte " + std::to_string(offset + static_cast<int64_t>(read)) +
                               ", expected " + std::to_string(bytes.size()) + " from byte " +
                               std::to_string(offset) + ": cut");
}

Result<std::string> ReadExactly(FileSystem& fs, const std::string& path, int64_t offset,
                                int64_t bytes) {
  std::string text(static_cast<size_t>(bytes), '\0');
  TRESTLE_RETURN_IF_ERROR(
      ReadExactly(fs, path, offset, std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace trestle
