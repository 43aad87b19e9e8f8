#include "worker/block_file.h"

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/result.h>

#include <string_view>

#include "worker/block_arrow.h"

namespace trestle {

Result<std::shared_ptr<const BlockFile>> OpenBlockFile(const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(auto file, OpenForReading(path));
  auto read = file->ReadAt(0, 6);
  if (!read.ok()) return Status(StatusCode::kIoError, path + ": " + read.status().message());
  const std::string_view magic(reinterpret_cast<const char*>((*read)->data()),
                               static_cast<size_t>((*read)->size()));
  if (magic.empty()) {
    return Status(StatusCode::kInvalidData, path + ": is empty (0 bytes)");
  }
  if (magic.substr(0, 4) == "PAR1") return OpenParquetFile(path);
  if (magic == "ARROW1") return OpenIpcFile(path);
  return Status(StatusCode::kInvalidData, path + ": is neither Parquet nor an Arrow IPC file");
}

}  // namespace trestle
