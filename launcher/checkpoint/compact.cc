// `trestle checkpoint compact`: a delta and its base, written as one full checkpoint.
#include <filesystem>

#include "base/partition.h"
#include "launcher/checkpoint/commands.h"
#include "launcher/checkpoint/facts.h"
#include "launcher/checkpoint/row_block.h"
#include "launcher/checkpoint/text.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/dense_file.h"
#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/shard_file.h"

namespace trestle {
namespace {

// As many files a table as the delta has: what the run's number of servers made of the right size.
int ShardsOf(const Manifest& delta, const std::string& table) {
  int shards = 0;
  for (const FileEntry& file : delta.files()) shards += file.table() == table ? 1 : 0;
  return std::max(shards, 1);
}

Status WriteTable(FileSystem& fs, const CheckpointReader& delta, const TableEntry& table,
                  const std::string& folder, Manifest* full) {
  const int shards = ShardsOf(delta.manifest(), table.name());
  for (int shard = 0; shard < shards; ++shard) {
    const ShardFileSpec spec = {.folder = folder,
                                .table = table.name(),
                                .dim = table.dim(),
                                .state_width = table.state_width(),
                                .optimizer = table.optimizer(),
                                .server = shard,
                                .servers = shards};
    const auto rows = [&](const std::function<Status(const RowView&)>& visit) {
      return ForEachRowInOrder(delta, table, ShardBegin(shard, shards),
                               ShardBegin(shard + 1, shards), visit);
    };
    TRESTLE_ASSIGN_OR_RETURN(*full->add_files(), WriteShardFile(fs, spec, rows));
  }
  return {};
}

// All of a full checkpoint but its manifest, which is returned.
Result<Manifest> WriteFiles(FileSystem& fs, const CheckpointReader& delta,
                            const std::string& folder) {
  Manifest full = delta.manifest();
  full.clear_base();
  full.clear_base_step();
  full.clear_base_xxh3_128();
  full.clear_files();
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder + "/embedding"));
  for (const TableEntry& table : delta.manifest().tables()) {
    TRESTLE_RETURN_IF_ERROR(WriteTable(fs, delta, table, folder, &full));
  }
  TRESTLE_ASSIGN_OR_RETURN(const auto dense, delta.Dense());
  TRESTLE_ASSIGN_OR_RETURN(*full.add_files(), WriteDenseFile(fs, folder, dense));
  TRESTLE_RETURN_IF_ERROR(fs.SyncDirectory(folder + "/embedding"));
  TRESTLE_RETURN_IF_ERROR(fs.SyncDirectory(folder));
  return full;
}

// Writes it, and reads it again.
Result<Manifest> WriteFull(FileSystem& fs, const CheckpointReader& delta,
                           const std::string& folder) {
  TRESTLE_ASSIGN_OR_RETURN(Manifest full, WriteFiles(fs, delta, folder));
  TRESTLE_RETURN_IF_ERROR(WriteManifest(fs, folder, full));
  TRESTLE_RETURN_IF_ERROR(fs.SyncDirectory(std::filesystem::path(folder).parent_path().string()));
  TRESTLE_ASSIGN_OR_RETURN(const auto written, CheckpointReader::Open(fs, folder));
  TRESTLE_RETURN_IF_ERROR(written->Verify());  // above all, that rows add up to the delta's digests
  return full;
}

Status CheckTarget(FileSystem& fs, const CheckpointReader& delta, const std::string& folder) {
  if (delta.manifest().base().empty()) {
    return {StatusCode::kInvalidConfig,
            delta.path() + ": a full checkpoint already; copy its folder if you need another"};
  }
  if (!fs.Exists(folder)) return {};
  const bool whole = fs.Exists(folder + "/" + kManifestName);
  const char* what = whole ? ": exists; choose another --output"
                           : ": exists, incomplete; remove it if a compact that ended early left "
                             "it, or choose another --output";
  return {StatusCode::kInvalidConfig, folder + what};
}

}  // namespace

Status CompactCommand(FileSystem& fs, const std::string& path, const std::string& output,
                      std::ostream& out) {
  TRESTLE_ASSIGN_OR_RETURN(const auto delta, OpenCheckpoint(fs, path));
  const Manifest& manifest = delta->manifest();
  const std::string folder = output + "/" + manifest.name();
  TRESTLE_RETURN_IF_ERROR(CheckTarget(fs, *delta, folder));
  const Result<Manifest> full = WriteFull(fs, *delta, folder);
  if (!full.ok()) {
    const bool gone = !fs.Exists(folder) || RemoveCheckpoint(fs, folder).ok();
    return full.status().Wrap("compacting " + delta->path() +
                              (gone ? "" : " (" + folder + " stays, half written: remove it)"));
  }
  out << folder << ": full, " << CountText(RowsOf(*full), "row") << ", "
      << BytesText(BytesOf(*full)) << ", digest " << full->digest() << ", as before; verified\n"
      << "it needs neither " << manifest.base() << " nor the delta " << delta->path() << "\n";
  return {};
}

}  // namespace trestle
