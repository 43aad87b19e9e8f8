#include "ps/checkpoint/rank_files.h"

#include <system_error>
#include <utility>

#include "base/partition.h"
#include "base/thread_pool.h"
#include "ps/checkpoint/shard_file.h"
#include "ps/failure.h"

namespace trestle {

RankFiles::RankFiles(FileSystem& fs, Spec spec, const std::vector<EmbeddingTable*>& tables,
                     std::vector<NamedTensor> dense)
    : fs_(fs),
      spec_(std::move(spec)),
      tables_(tables),
      dense_(std::move(dense)),
      memory_(std::make_shared<SnapshotMemory>(spec_.snapshot_bytes, spec_.patience)) {
  for (EmbeddingTable* table : tables_) {
    auto snapshot = table->Snapshot(memory_);
    status_ = snapshot.status();
    if (!status_.ok()) return;
    snapshots_.push_back(*std::move(snapshot));
  }
}

RankFiles::~RankFiles() {
  given_up_ = true;
  if (thread_.joinable()) thread_.join();
}

Status RankFiles::Start(std::function<void()> done) try {
  thread_ = std::thread([this, done = std::move(done)] {
    UseOneOpenMpThread();
    GiveWayToComputation();
    if (status_.ok()) {
      status_ = WithinMemory("writing", kNoCheckpointMemory, [this] { return Write(); });
    }
    snapshots_.clear();  // pushes log nothing any more
    done();
  });
  return {};
} catch (const std::system_error& error) {
  return {StatusCode::kOutOfMemory,
          std::string("no thread to write a checkpoint with: ") + error.what()};
}

Result<Manifest> RankFiles::Join() {
  if (thread_.joinable()) thread_.join();
  TRESTLE_RETURN_IF_ERROR(status_);
  return part_;
}

Status RankFiles::Write() {
  const std::string embedding = spec_.folder + "/embedding";
  TRESTLE_RETURN_IF_ERROR(fs_.MakeDirectories(embedding));
  for (size_t t = 0; t < tables_.size(); ++t) TRESTLE_RETURN_IF_ERROR(WriteTable(t));
  if (!dense_.empty()) {
    TRESTLE_ASSIGN_OR_RETURN(*part_.add_files(), WriteDenseFile(fs_, spec_.folder, dense_));
  }
  TRESTLE_RETURN_IF_ERROR(fs_.SyncDirectory(embedding));
  return fs_.SyncDirectory(spec_.folder);
}

Status RankFiles::WriteTable(size_t table) {
  const TableSpec& spec = tables_[table]->spec();
  TableSnapshot& snapshot = *snapshots_[table];
  TableEntry* const entry = part_.add_tables();
  entry->set_rows(snapshot.rows());
  entry->set_state_width(tables_[table]->state_width());
  uint64_t digest = 0;
  const auto rows = [&](const std::function<Status(const RowView&)>& visit) {
    return snapshot.ForEachRow(0, kPartitions, [&](const RowView& row) -> Status {
      if (given_up_.load(std::memory_order_relaxed)) {
        return {StatusCode::kInterrupted, "the checkpoint was given up"};
      }
      digest += HashRow(row);
      const bool newer = row.last_step > spec_.newer_than || row.last_step == 0;
      return newer ? visit(row) : Status();
    });
  };
  const ShardFileSpec file{.folder = spec_.folder,
                           .table = spec.name,
                           .dim = spec.dim,
                           .state_width = tables_[table]->state_width(),
                           .optimizer = OptimizerName(spec),
                           .server = spec_.server,
                           .servers = spec_.servers};
  TRESTLE_ASSIGN_OR_RETURN(*part_.add_files(), WriteShardFile(fs_, file, rows));
  entry->set_digest(digest);
  snapshots_[table].reset();
  return {};
}

}  // namespace trestle
