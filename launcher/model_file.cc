#include "launcher/model_file.h"

#include <algorithm>
#include <cstdio>

#include "base/hash.h"

namespace trestle {
namespace {

constexpr size_t kPieceBytes = size_t{4} << 20;

std::string Hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016lx", value);
  return text;
}

Status Corrupt(const std::string& path, const std::string& what) {
  return {StatusCode::kCorrupt, path + ": " + what};
}

}  // namespace

Result<ModelFileWriter> ModelFileWriter::Create(FileSystem& fs, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(auto file, fs.Create(path));
  return ModelFileWriter(std::move(file));
}

Status ModelFileWriter::Write(const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const size_t now = std::min(bytes, kPieceBytes - piece_.size());
    piece_.append(from, now);
    from += now;
    bytes -= now;
    if (piece_.size() == kPieceBytes) TRESTLE_RETURN_IF_ERROR(Flush());
  }
  return {};
}

Status ModelFileWriter::Flush() {
  if (piece_.empty()) return {};
  hash_ = Hash64(piece_, hash_);
  bytes_ += static_cast<int64_t>(piece_.size());
  TRESTLE_RETURN_IF_ERROR(file_->Append(std::as_bytes(std::span(piece_))));
  piece_.clear();
  return {};
}

Result<FileFacts> ModelFileWriter::Finish() {
  TRESTLE_RETURN_IF_ERROR(Flush());
  TRESTLE_RETURN_IF_ERROR(file_->Sync());
  TRESTLE_RETURN_IF_ERROR(file_->Close());
  return FileFacts{bytes_, Hex(hash_)};
}

Status ReadModelFile(FileSystem& fs, const std::string& path, const FileFacts& expected,
                     const std::function<Status(std::string_view piece)>& consume) {
  TRESTLE_ASSIGN_OR_RETURN(const int64_t size, fs.Size(path));
  if (size != expected.bytes) {
    return Corrupt(path, std::to_string(expected.bytes) + " bytes expected, " +
                             std::to_string(size) + " found");
  }
  uint64_t hash = 0;
  for (int64_t at = 0; at < size;) {
    TRESTLE_ASSIGN_OR_RETURN(const std::string piece, fs.ReadRange(path, at, kPieceBytes));
    if (piece.empty()) return Corrupt(path, "ends while it is read");
    hash = Hash64(piece, hash);
    TRESTLE_RETURN_IF_ERROR(consume(piece));
    at += static_cast<int64_t>(piece.size());
  }
  if (Hex(hash) == expected.checksum) return {};
  return Corrupt(path, "checksum " + expected.checksum + " expected, " + Hex(hash) + " found");
}

std::string ChecksumOf(std::string_view text) {
  uint64_t hash = 0;
  for (size_t at = 0; at < text.size(); at += kPieceBytes) {
    hash = Hash64(text.substr(at, kPieceBytes), hash);
  }
  return Hex(hash);
}

}  // namespace trestle
