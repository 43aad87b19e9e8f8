#include "launcher/checkpoint/facts.h"

#include "launcher/checkpoint/find.h"

namespace trestle {

int64_t RowsOf(const Manifest& manifest) {
  int64_t rows = 0;
  for (const TableEntry& table : manifest.tables()) rows += table.rows();
  return rows;
}

int64_t BytesOf(const Manifest& manifest) {
  int64_t bytes = 0;
  for (const FileEntry& file : manifest.files()) bytes += file.bytes();
  return bytes;
}

std::string KindText(const Manifest& manifest) {
  return manifest.base().empty() ? "full" : "delta of " + manifest.base();
}

Result<std::unique_ptr<CheckpointReader>> OpenCheckpoint(FileSystem& fs, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const std::string found, FindCheckpoint(fs, path));
  return CheckpointReader::Open(fs, found);
}

}  // namespace trestle
