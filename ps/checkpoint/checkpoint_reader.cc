#include "ps/checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/hash.h"
#include "base/partition.h"
#include "ps/checkpoint/hashed_file.h"
#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/shard_file.h"
#include "ps/checkpoint/store_filesystem.h"

namespace trestle {
namespace {

constexpr int64_t kReadBytes = 4 << 20;

std::string ManifestPath(const std::string& folder) { return folder + "/" + kManifestName; }

// A table's files, by partitions.
std::vector<const FileEntry*> FilesOf(const Manifest& manifest, const std::string& table) {
  std::vector<const FileEntry*> files;
  for (const FileEntry& file : manifest.files()) {
    if (file.table() == table) files.push_back(&file);
  }
  std::sort(files.begin(), files.end(), [](const FileEntry* a, const FileEntry* b) {
    return a->begin_partition() < b->begin_partition();
  });
  return files;
}

// That a table's files have all partitions, each once.
Status CheckPartitions(const std::string& folder, const Manifest& manifest) {
  for (const TableEntry& table : manifest.tables()) {
    uint32_t at = 0;
    for (const FileEntry* file : FilesOf(manifest, table.name())) {
      if (file->begin_partition() != at) break;
      at = file->end_partition();
    }
    if (at == kPartitions) continue;
    return CorruptFile(ManifestPath(folder), "lists no file of table " + table.name() +
                                                 " that begins at partition " + std::to_string(at));
  }
  return {};
}

Status CheckSizes(FileSystem& fs, const std::string& folder, const Manifest& manifest) {
  for (const FileEntry& file : manifest.files()) {
    TRESTLE_RETURN_IF_ERROR(CheckFileSize(fs, folder + "/" + file.name(), file.bytes()));
  }
  return {};
}

// Of a checkpoint, `name` in the same folder.
std::string Beside(const std::string& path, const std::string& name) {
  std::filesystem::path folder = path;
  if (!IsStoreUri(path)) folder = std::filesystem::absolute(folder).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  return (folder.parent_path() / name).string();
}

Result<std::unique_ptr<CheckpointReader>> OpenBase(FileSystem& fs, const std::string& path,
                                                   const Manifest& manifest) {
  const std::string base = Beside(path, manifest.base());
  const std::string context = "base of the delta " + path;
  const auto hash = ManifestHash(fs, base);
  if (!hash.ok() && hash.status().code() == StatusCode::kNotFound) {
    return CorruptFile(base, "missing").Wrap(context);
  }
  TRESTLE_RETURN_IF_ERROR(hash.status().Wrap(context));
  TRESTLE_RETURN_IF_ERROR(
      CheckHash(ManifestPath(base), "", manifest.base_xxh3_128(), *hash).Wrap(context));
  auto reader = CheckpointReader::Open(fs, base);
  TRESTLE_RETURN_IF_ERROR(reader.status().Wrap(context));
  if ((*reader)->base() == nullptr) return reader;
  return CorruptFile(ManifestPath(base), "a delta, expected a full checkpoint").Wrap(context);
}

// The rows of the manifest's own files.
Status ReadOwnRows(FileSystem& fs, const std::string& folder, const Manifest& manifest,
                   const TableEntry& table, uint32_t begin, uint32_t end,
                   const RowsVisitor& visit) {
  for (const FileEntry* file : FilesOf(manifest, table.name())) {
    if (file->end_partition() <= begin || file->begin_partition() >= end) continue;
    TRESTLE_RETURN_IF_ERROR(
        ReadShardFile(fs, folder, *file, table.dim(), table.state_width(), begin, end, visit));
  }
  return {};
}

// Of the whole file, in pieces.
Status VerifyFile(FileSystem& fs, const std::string& path, const FileEntry& entry) {
  TRESTLE_RETURN_IF_ERROR(CheckFileSize(fs, path, entry.bytes()));
  Hasher128 hasher;
  std::vector<std::byte> buffer(static_cast<size_t>(std::min(kReadBytes, entry.bytes())));
  for (int64_t at = 0; at < entry.bytes(); at += kReadBytes) {
    const int64_t bytes = std::min(kReadBytes, entry.bytes() - at);
    const std::span piece = std::span(buffer).first(static_cast<size_t>(bytes));
    TRESTLE_RETURN_IF_ERROR(ReadExactly(fs, path, at, piece));
    hasher.Update(piece);
  }
  return CheckHash(path, "", entry.xxh3_128(), hasher.Hex());
}

// No file or folder but those that the manifest lists, and what is left of a manifest that was
// being written again when the job or its disk broke.
Status CheckNoOthers(FileSystem& fs, const std::string& folder, const Manifest& manifest) {
  std::map<std::string, std::set<std::string>> listed = {
      {"", {kManifestName, std::string(kManifestName) + ".tmp"}}};
  for (const FileEntry& file : manifest.files()) {
    const std::filesystem::path name(file.name());
    listed[name.parent_path().string()].insert(name.filename().string());
    for (auto p = name.parent_path(); !p.empty(); p = p.parent_path()) {
      listed[p.parent_path().string()].insert(p.filename().string());
    }
  }
  for (const auto& [inner, expected] : listed) {
    const std::string path = inner.empty() ? folder : folder + "/" + inner;
    TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(path));
    for (const std::string& name : names) {
      if (expected.contains(name)) continue;
      return CorruptFile(path + "/" + name, std::string("is not in ") + kManifestName);
    }
  }
  return {};
}

}  // namespace

CheckpointReader::CheckpointReader(FileSystem& fs, std::string path, Manifest manifest,
                                   std::unique_ptr<CheckpointReader> base)
    : fs_(fs), path_(std::move(path)), manifest_(std::move(manifest)), base_(std::move(base)) {}

Result<std::unique_ptr<CheckpointReader>> CheckpointReader::Open(FileSystem& fs,
                                                                 const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(fs, path));
  TRESTLE_RETURN_IF_ERROR(CheckPartitions(path, manifest));
  TRESTLE_RETURN_IF_ERROR(CheckSizes(fs, path, manifest));
  std::unique_ptr<CheckpointReader> base;
  if (!manifest.base().empty()) {
    TRESTLE_ASSIGN_OR_RETURN(base, OpenBase(fs, path, manifest));
  }
  return std::unique_ptr<CheckpointReader>(
      new CheckpointReader(fs, path, std::move(manifest), std::move(base)));
}

int64_t CheckpointReader::Rows(const std::string& table) const {
  const TableEntry* entry = FindTable(manifest_, table);
  return entry == nullptr ? 0 : entry->rows();
}

Status CheckpointReader::ForEachRow(const std::string& table, uint32_t begin_partition,
                                    uint32_t end_partition,
                                    const std::function<Status(const RowView&)>& visit) const {
  return ForEachRows(table, begin_partition, end_partition, [&](std::span<const RowView> rows) {
    for (const RowView& row : rows) TRESTLE_RETURN_IF_ERROR(visit(row));
    return Status();
  });
}

Status CheckpointReader::ForEachRows(const std::string& table, uint32_t begin_partition,
                                     uint32_t end_partition, const RowsVisitor& visit) const {
  const TableEntry* entry = FindTable(manifest_, table);
  if (entry == nullptr) {
    return {StatusCode::kNotFound, "checkpoint " + path_ + " has no table " + table};
  }
  if (base_ == nullptr || FindTable(base_->manifest_, table) == nullptr) {
    return ReadOwnRows(fs_, path_, manifest_, *entry, begin_partition, end_partition, visit);
  }
  // Both are in the order of the mixed key, so one walk finds what the delta has newer.
  std::vector<uint64_t> newer;
  TRESTLE_RETURN_IF_ERROR(ReadOwnRows(fs_, path_, manifest_, *entry, begin_partition, end_partition,
                                      [&](std::span<const RowView> rows) {
                                        for (const RowView& row : rows) {
                                          newer.push_back(Mix64(row.key.value));
                                        }
                                        return visit(rows);
                                      }));
  auto next = newer.begin();
  std::vector<RowView> others;
  return ReadOwnRows(fs_, base_->path_, base_->manifest_, *entry, begin_partition, end_partition,
                     [&](std::span<const RowView> rows) {
                       others.clear();
                       for (const RowView& row : rows) {
                         const uint64_t mixed = Mix64(row.key.value);
                         while (next != newer.end() && *next < mixed) ++next;
                         if (next == newer.end() || *next != mixed) others.push_back(row);
                       }
                       return visit(others);
                     });
}

Result<std::vector<NamedTensor>> CheckpointReader::Dense() const {
  for (const FileEntry& file : manifest_.files()) {
    if (file.name() != kDenseFileName) continue;
    TRESTLE_ASSIGN_OR_RETURN(auto tensors, ReadDenseFile(fs_, path_, file));
    const bool same =
        std::equal(tensors.begin(), tensors.end(), manifest_.dense().begin(),
                   manifest_.dense().end(), [](const auto& a, const auto& b) {
                     return a.name == b.name() && a.rows == b.rows() && a.cols == b.cols();
                   });
    if (same) return tensors;
    return CorruptFile(path_ + "/" + file.name(), "holds other tensors than the manifest lists");
  }
  return CorruptFile(ManifestPath(path_), std::string("lists no ") + kDenseFileName);
}

Status CheckpointReader::Verify() const {
  if (base_ != nullptr) TRESTLE_RETURN_IF_ERROR(base_->Verify());
  TRESTLE_RETURN_IF_ERROR(CheckNoOthers(fs_, path_, manifest_));
  for (const FileEntry& file : manifest_.files()) {
    TRESTLE_RETURN_IF_ERROR(VerifyFile(fs_, path_ + "/" + file.name(), file));
  }
  TRESTLE_RETURN_IF_ERROR(Dense().status());
  for (const TableEntry& table : manifest_.tables()) {
    TRESTLE_RETURN_IF_ERROR(VerifyTable(table));
  }
  if (const std::string digest = ModelDigest(manifest_); digest != manifest_.digest()) {
    return CorruptFile(
        ManifestPath(path_),
        "digest " + manifest_.digest() + ", but its tables' and the network's make " + digest);
  }
  return {};
}

Status CheckpointReader::VerifyTable(const TableEntry& table) const {
  int64_t rows = 0;
  uint64_t digest = 0;
  TRESTLE_RETURN_IF_ERROR(ForEachRow(table.name(), 0, kPartitions, [&](const RowView& row) {
    ++rows;
    digest += HashRow(row);
    return Status();
  }));
  if (rows == table.rows() && digest == table.digest()) return {};
  return CorruptFile(ManifestPath(path_), "table " + table.name() + " should have " +
                                              std::to_string(table.rows()) + " rows with digest " +
                                              std::to_string(table.digest()) + ", its files have " +
                                              std::to_string(rows) + " with " +
                                              std::to_string(digest));
}

}  // namespace trestle
