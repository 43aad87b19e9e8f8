#include "worker/block_arrow.h"

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/result.h>
#include <arrow/status.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/hash.h"

namespace trestle {
namespace {

constexpr size_t kMostReason = 200;  // characters of Arrow's message that are shown

std::string OneLine(std::string text) {
  text = text.substr(0, text.find('\n'));
  if (text.size() > kMostReason) text = text.substr(0, kMostReason) + "...";
  return text;
}

}  // namespace

Status FromArrow(const arrow::Status& status, const std::string& where) {
  if (status.ok()) return {};
  const std::string text = where + ": " + OneLine(status.message());
  if (status.IsOutOfMemory()) return {StatusCode::kOutOfMemory, text};
  return {StatusCode::kInvalidData, text + " (is the file complete and undamaged?)"};
}

Result<std::shared_ptr<arrow::io::ReadableFile>> OpenForReading(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || ::access(path.c_str(), R_OK) != 0) {
    const StatusCode code = errno == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError;
    return Status(code, path + ": " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return Status(StatusCode::kInvalidData,
                  path + ": is not a file (to name the files of a folder, write folder/*.parquet)");
  }
  auto opened = arrow::io::ReadableFile::Open(path);
  if (!opened.ok()) {
    return Status(StatusCode::kIoError, path + ": " + OneLine(opened.status().message()));
  }
  return std::move(opened).ValueUnsafe();
}

Result<uint64_t> HashFooter(arrow::io::ReadableFile& file, const std::string& path, int64_t length,
                            int64_t trailer) {
  const int64_t size = file.GetSize().ValueOr(0);
  const int64_t bytes = std::min(std::max<int64_t>(length, 0) + trailer, size);
  auto read = file.ReadAt(size - bytes, bytes);
  if (!read.ok()) return FromArrow(read.status(), path);
  const auto& buffer = *read;
  return Hash64(std::string_view(reinterpret_cast<const char*>(buffer->data()),
                                 static_cast<size_t>(buffer->size())));
}

Result<int64_t> ReadFooterLength(arrow::io::ReadableFile& file, const std::string& path,
                                 int64_t from_end) {
  const int64_t size = file.GetSize().ValueOr(0);
  if (size < from_end) return int64_t{0};
  auto read = file.ReadAt(size - from_end, 4);
  if (!read.ok()) return FromArrow(read.status(), path);
  uint32_t length = 0;
  if ((*read)->size() == 4) std::memcpy(&length, (*read)->data(), 4);
  return static_cast<int64_t>(length);
}

}  // namespace trestle
