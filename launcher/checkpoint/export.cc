// `trestle checkpoint export`: which files are written, and whether they may be.
#include <algorithm>
#include <array>

#include "base/nearest_name.h"
#include "base/partition.h"
#include "launcher/checkpoint/commands.h"
#include "launcher/checkpoint/export_formats.h"
#include "launcher/checkpoint/facts.h"
#include "launcher/checkpoint/text.h"

namespace trestle {
namespace {

// Files that are written together.
struct Part {
  std::vector<std::string> paths;
  std::string what;  // "item: 1,234 rows"
  std::function<Status()> write;
};

Status Invalid(const std::string& message) { return {StatusCode::kInvalidConfig, message}; }

Result<std::vector<TableEntry>> SelectTables(const Manifest& manifest,
                                             const std::vector<std::string>& wanted) {
  std::vector<std::string> known;
  for (const TableEntry& table : manifest.tables()) known.push_back(table.name());
  for (const std::string& name : wanted) {
    if (std::ranges::find(known, name) != known.end()) continue;
    return Invalid("--table " + name + ": no such table" + Suggestion(name, known) + "tables of " +
                   manifest.name() + ": " + JoinNames(known));
  }
  std::vector<TableEntry> selected;
  for (const TableEntry& table : manifest.tables()) {
    const bool named = std::ranges::find(wanted, table.name()) != wanted.end();
    if (wanted.empty() || named) selected.push_back(table);
  }
  return selected;
}

std::string TableText(const TableEntry& table) {
  return table.name() + ": " + CountText(table.rows(), "row");
}

Part ParquetPart(FileSystem& fs, const CheckpointReader& reader, const TableEntry& table,
                 const std::string& output) {
  const std::string path = output + "/" + table.name() + ".parquet";
  return {{path}, TableText(table), [&fs, &reader, table, path] {
            return ExportParquet(fs, reader, table, path);
          }};
}

Part NpyPart(FileSystem& fs, const CheckpointReader& reader, const TableEntry& table,
             const std::string& output) {
  const std::string folder = output + "/" + table.name();
  const std::string keys = folder + "/keys.npy", weights = folder + "/weights.npy";
  return {{keys, weights}, TableText(table), [&fs, &reader, table, folder, keys, weights]() {
            TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder));
            return ExportNpy(fs, reader, table, keys, weights);
          }};
}

Part SafetensorsPart(FileSystem& fs, const CheckpointReader& reader,
                     const std::vector<TableEntry>& tables, bool dense, const std::string& output) {
  const std::string path = output + "/model.safetensors";
  std::string what = CountText(static_cast<int64_t>(tables.size()), "table");
  if (dense) what += ", " + CountText(reader.manifest().dense_size(), "dense tensor");
  return {{path}, what, [&fs, &reader, tables, dense, path] {
            return ExportSafetensors(fs, reader, tables, dense, path);
          }};
}

std::vector<Part> PartsOf(FileSystem& fs, const CheckpointReader& reader,
                          const ExportRequest& request, const std::vector<TableEntry>& tables) {
  if (request.format == "safetensors") {
    return {SafetensorsPart(fs, reader, tables, request.tables.empty(), request.output)};
  }
  const auto make = request.format == "npy" ? NpyPart : ParquetPart;
  std::vector<Part> parts;
  for (const TableEntry& table : tables) parts.push_back(make(fs, reader, table, request.output));
  return parts;
}

Status CheckFormat(const std::string& format) {
  static constexpr std::array<const char*, 3> kFormats = {"parquet", "npy", "safetensors"};
  if (std::ranges::find(kFormats, format) != kFormats.end()) return {};
  return Invalid("--format " + format + ": unknown; allowed: parquet, npy, safetensors");
}

Status RefuseToOverwrite(FileSystem& fs, const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    for (const std::string& path : part.paths) {
      if (fs.Exists(path)) {
        return Invalid(path + ": exists; choose another --output, or overwrite it with --force");
      }
    }
  }
  return {};
}

}  // namespace

Status ForAllBlocks(const CheckpointReader& reader, const TableEntry& table,
                    const std::function<Status(const RowBlock&)>& visit) {
  int64_t rows = 0;
  const auto count = [&](const RowBlock& block) {
    rows += static_cast<int64_t>(block.size());
    return visit(block);
  };
  TRESTLE_RETURN_IF_ERROR(ForEachBlock(reader, table, 0, kPartitions, count));
  if (rows == table.rows()) return {};
  return {StatusCode::kCorrupt, reader.path() + ": table " + table.name() + ": expected " +
                                    CountText(table.rows(), "row") + ", found " + CountText(rows)};
}

Status ExportCommand(FileSystem& fs, const std::string& path, const ExportRequest& request,
                     std::ostream& out) {
  TRESTLE_RETURN_IF_ERROR(CheckFormat(request.format));
  TRESTLE_ASSIGN_OR_RETURN(const auto reader, OpenCheckpoint(fs, path));
  TRESTLE_ASSIGN_OR_RETURN(const auto tables, SelectTables(reader->manifest(), request.tables));
  const std::vector<Part> parts = PartsOf(fs, *reader, request, tables);
  if (!request.force) TRESTLE_RETURN_IF_ERROR(RefuseToOverwrite(fs, parts));
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(request.output));
  for (const Part& part : parts) {
    TRESTLE_RETURN_IF_ERROR(part.write().Wrap("export of " + reader->path()));
    for (const std::string& file : part.paths) out << file << "  " << part.what << "\n";
  }
  return {};
}

}  // namespace trestle
