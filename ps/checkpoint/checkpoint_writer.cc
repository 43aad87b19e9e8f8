#include "ps/checkpoint/checkpoint_writer.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/rank_files.h"

namespace trestle {
namespace {

// After long local work, of which one rank may have much more than another.
Operation Completing(int64_t step) { return {Stream::kControl, "checkpoint", step, kLongPhase}; }

std::vector<NamedTensor> CopyDense(DenseBackend& backend) {
  std::vector<NamedTensor> tensors;
  for (const auto& [slice, values] : backend.State()) {
    tensors.push_back({slice.name, slice.rows, slice.cols, {values.begin(), values.end()}});
  }
  return tensors;
}

// Adds a worker's own sums to the leader's cursor.
void AddPartial(const Cursor& part, Cursor* sum) {
  sum->set_positives(sum->positives() + part.positives());
  sum->set_rows_read(sum->rows_read() + part.rows_read());
  sum->set_rows_rejected(sum->rows_rejected() + part.rows_rejected());
  sum->set_ledger_hash(sum->ledger_hash() + part.ledger_hash());
}

}  // namespace

struct CheckpointWriter::InFlight {
  Clock::Duration begun{};
  Manifest manifest;  // what is known already
  std::unique_ptr<RankFiles> files;
};

CheckpointWriter::CheckpointWriter(Communicator& comm, FileSystem& fs, const Clock& clock,
                                   Node& node, DenseBackend* backend, Options options)
    : comm_(comm),
      fs_(fs),
      clock_(clock),
      node_(node),
      backend_(backend),
      options_(std::move(options)),
      last_begun_ns_(clock.Now().count()),
      complete_(options_.complete_before) {}

CheckpointWriter::~CheckpointWriter() = default;

bool CheckpointWriter::Due() const {
  if (requested_.load(std::memory_order_relaxed)) return true;
  if (!leads() || options_.policy.every.count() == 0) return false;
  return clock_.Now().count() - last_begun_ns_.load() >= options_.policy.every.count();
}

CheckpointVotes CheckpointWriter::Votes() const {
  const uint32_t begun = begun_.load();  // first: see Begin
  return {begun + (Due() ? 1u : 0u), written_.load()};
}

Result<std::optional<CheckpointReport>> CheckpointWriter::AtBoundary(const AgreedHeader& header,
                                                                     const Cursor& cursor) {
  std::optional<CheckpointReport> report;
  if (in_flight_ && header.checkpoints.written >= begun_) {
    TRESTLE_ASSIGN_OR_RETURN(report, Complete());
  }
  const int64_t every = options_.policy.every_steps;
  due_by_steps_ = due_by_steps_ || (every > 0 && header.step % every == 0);
  if (!in_flight_ && (due_by_steps_ || header.checkpoints.wanted > begun_)) Begin(cursor, false);
  return report;
}

void CheckpointWriter::Begin(const Cursor& cursor, bool finished) {
  // What makes it due goes before it counts as begun: a vote in between asks for this one, not for
  // one more.
  due_by_steps_ = false;
  requested_ = false;
  last_begun_ns_ = clock_.Now().count();
  const uint32_t number = ++begun_;

  in_flight_ = std::make_unique<InFlight>();
  InFlight& flight = *in_flight_;
  flight.begun = clock_.Now();
  flight.manifest.set_name(CheckpointName{cursor.step(), options_.attempt}.ToString());
  flight.manifest.set_finished(finished);
  *flight.manifest.mutable_cursor() = cursor;
  RankFiles::Spec spec;
  spec.folder = options_.folder + "/" + flight.manifest.name();
  spec.server = node_.server_index();
  spec.servers = node_.server_count();
  spec.snapshot_bytes = options_.policy.snapshot_bytes;
  spec.patience = options_.policy.patience;
  if (options_.policy.incremental && base_ && deltas_since_full_ + 1 < options_.policy.full_every) {
    flight.manifest.set_base(base_->name());
    flight.manifest.set_base_step(base_->cursor().step());
    spec.newer_than = base_->cursor().step();
  }
  std::vector<NamedTensor> dense;
  if (leads()) {
    // An epoch that closes while this is written is not in it: its cursor stands before.
    *flight.manifest.mutable_ledger() = options_.facts.ledger();
    dense = CopyDense(*backend_);
    flight.manifest.set_dense_digest(backend_->Digest());
    for (const NamedTensor& tensor : dense) {
      TensorEntry* const entry = flight.manifest.add_dense();
      entry->set_name(tensor.name);
      entry->set_rows(tensor.rows);
      entry->set_cols(tensor.cols);
    }
  }
  flight.files =
      std::make_unique<RankFiles>(fs_, std::move(spec), node_.tables(), std::move(dense));
  flight.files->Start([this, number] { written_ = number; });
}

Result<CheckpointReport> CheckpointWriter::Complete() {
  const std::unique_ptr<InFlight> flight = std::move(in_flight_);
  const Manifest& known = flight->manifest;
  const Operation op = Completing(known.cursor().step());
  auto part = flight->files->Join();
  CheckpointReport report;
  report.name = known.name();
  report.step = known.cursor().step();
  report.full = known.base().empty();
  report.snapshot_peak_bytes = flight->files->memory().peak();
  report.waited_seconds = Seconds(flight->files->memory().waited());
  report.failure = AgreeOnStatus(comm_, op, part.status());
  if (report.failure.ok()) {
    Manifest mine = known;
    if (part.ok()) mine.MergeFrom(*part);
    report.failure = MakeComplete(mine, &report);
  }
  if (BreaksTheJob(report.failure)) return report.failure;
  report.seconds = Seconds(clock_.Now() - flight->begun);
  if (leads()) report.cleanup = CleanUp(report);
  // No rank begins the next one before: half written, it is like what goes, and where one has
  // failed at the last step it even has its name.
  TRESTLE_RETURN_IF_ERROR(comm_.Barrier(op));
  if (!report.failure.ok()) return report;
  ++complete_;
  if (!leads()) newest_ = known;  // the leader has all of it
  deltas_since_full_ = report.full ? 0 : deltas_since_full_ + 1;
  if (report.full) base_ = newest_;
  return report;
}

// What no longer counts goes. The leader's.
Status CheckpointWriter::CleanUp(const CheckpointReport& report) {
  if (report.failure.ok()) {
    return RemoveOldCheckpoints(fs_, options_.folder, options_.policy.retention, options_.attempt);
  }
  const std::string path = options_.folder + "/" + report.name;
  return fs_.Exists(path) ? RemoveCheckpoint(fs_, path) : Status();
}

// The ranks' parts meet on the leader, which writes the MANIFEST.
Status CheckpointWriter::MakeComplete(const Manifest& mine, CheckpointReport* report) {
  const Operation op = Completing(mine.cursor().step());
  TRESTLE_ASSIGN_OR_RETURN(const auto parts,
                           comm_.Gather(op, mine.SerializeAsString(), options_.leader));
  return AgreeOnStatus(comm_, op, leads() ? WriteManifestOfAll(parts, report) : Status());
}

Status CheckpointWriter::WriteManifestOfAll(const std::vector<std::string>& parts,
                                            CheckpointReport* report) {
  Manifest all = options_.facts;
  all.set_format(kCheckpointFormat);
  all.set_attempt(options_.attempt);
  all.set_number(complete_ + 1);
  Manifest mine;
  mine.ParseFromString(parts[static_cast<size_t>(options_.leader.value)]);
  all.set_name(mine.name());
  all.set_finished(mine.finished());
  all.set_dense_digest(mine.dense_digest());
  all.mutable_dense()->Swap(mine.mutable_dense());
  all.mutable_ledger()->Swap(mine.mutable_ledger());
  all.set_base(mine.base());
  all.set_base_step(mine.base_step());
  if (!mine.base().empty()) {
    TRESTLE_ASSIGN_OR_RETURN(*all.mutable_base_xxh3_128(),
                             ManifestHash(fs_, options_.folder + "/" + mine.base()));
  }
  Cursor cursor = mine.cursor();
  for (size_t r = 0; r < parts.size(); ++r) {
    Manifest part;
    if (!part.ParseFromString(parts[r])) {
      return {StatusCode::kInternal, "rank " + std::to_string(r) + "'s part is no manifest"};
    }
    if (Rank{static_cast<int>(r)} != options_.leader) AddPartial(part.cursor(), &cursor);
    all.mutable_files()->MergeFrom(part.files());
    for (int t = 0; t < part.tables_size(); ++t) {
      TableEntry* const table = all.mutable_tables(t);
      table->set_state_width(part.tables(t).state_width());
      table->set_rows(table->rows() + part.tables(t).rows());
      table->set_digest(table->digest() + part.tables(t).digest());
    }
  }
  *all.mutable_cursor() = cursor;
  all.set_digest(ModelDigest(all));
  report->digest = all.digest();
  for (const FileEntry& file : all.files()) {
    report->bytes += file.bytes();
    report->rows += file.rows();
  }
  // The names of the ranks' files and of the folder itself must be on disk before they are told.
  const std::string folder = options_.folder + "/" + all.name();
  TRESTLE_RETURN_IF_ERROR(fs_.SyncDirectory(folder + "/embedding"));
  TRESTLE_RETURN_IF_ERROR(fs_.SyncDirectory(folder));
  TRESTLE_RETURN_IF_ERROR(fs_.SyncDirectory(options_.folder));
  TRESTLE_RETURN_IF_ERROR(WriteManifest(fs_, folder, all));
  newest_ = all;
  return {};
}

// Nothing was trained since the newest: only what it says of the run has changed.
Status CheckpointWriter::Restate(const Cursor& cursor, bool finished) {
  Status written;
  if (leads()) {
    // In the middle of an epoch the one that is there has the sums of all workers.
    if (cursor.epoch() != newest_->cursor().epoch()) *newest_->mutable_cursor() = cursor;
    newest_->set_finished(finished);
    *newest_->mutable_ledger() = options_.facts.ledger();
    written = WriteManifest(fs_, options_.folder + "/" + newest_->name(), *newest_);
  }
  return AgreeOnStatus(comm_, Completing(cursor.step()), written);
}

Result<std::optional<CheckpointReport>> CheckpointWriter::Drain() {
  if (!in_flight_) return std::optional<CheckpointReport>();
  TRESTLE_ASSIGN_OR_RETURN(const CheckpointReport report, Complete());
  return std::optional(report);
}

Result<CheckpointReport> CheckpointWriter::Finish(const Cursor& cursor, bool finished) {
  CHECK(!in_flight_) << "Drain first";
  CheckpointReport report;
  if (newest_ && newest_->cursor().step() == cursor.step()) {
    const Status restated = Restate(cursor, finished);
    if (BreaksTheJob(restated)) return restated;
    report.name = newest_->name();
    report.step = cursor.step();
    report.digest = newest_->digest();
    report.failure = restated;
    return report;
  }
  Begin(cursor, finished);
  return Complete();
}

}  // namespace trestle
