#include "ps/checkpoint/checkpoint_writer.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/rank_files.h"
#include "ps/checkpoint/rank_part.pb.h"
#include "ps/failure.h"

namespace trestle {
namespace {

// After long local work, of which one rank may have much more than another.
Operation Completing(int64_t step) { return {Stream::kControl, "checkpoint", step, kLongPhase}; }

// Says in the manifest what it copies.
std::vector<NamedTensor> CopyDense(DenseBackend& backend, Manifest* manifest) {
  std::vector<NamedTensor> tensors;
  for (const auto& [slice, values] : backend.State()) {
    tensors.push_back({slice.name, slice.rows, slice.cols, {values.begin(), values.end()}});
    TensorEntry* const entry = manifest->add_dense();
    entry->set_name(slice.name);
    entry->set_rows(slice.rows);
    entry->set_cols(slice.cols);
  }
  manifest->set_dense_digest(backend.Digest());
  return tensors;
}

// Adds a worker's own sums to the leader's cursor.
void AddPartial(const Cursor& part, Cursor* sum) {
  sum->set_positives(sum->positives() + part.positives());
  sum->set_rows_read(sum->rows_read() + part.rows_read());
  sum->set_rows_rejected(sum->rows_rejected() + part.rows_rejected());
  sum->set_rows_left_out(sum->rows_left_out() + part.rows_left_out());
  sum->set_ledger_hash(sum->ledger_hash() + part.ledger_hash());
}

// Adds what one rank wrote to the manifest of all, which has the leader's cursor already.
void AddPart(const Manifest& part, bool leaders, Manifest* all) {
  if (!leaders) AddPartial(part.cursor(), all->mutable_cursor());
  all->mutable_files()->MergeFrom(part.files());
  for (int t = 0; t < part.tables_size(); ++t) {
    TableEntry* const table = all->mutable_tables(t);
    table->set_state_width(part.tables(t).state_width());
    table->set_rows(table->rows() + part.tables(t).rows());
    table->set_digest(table->digest() + part.tables(t).digest());
  }
}

}  // namespace

struct CheckpointWriter::InFlight {
  Clock::Duration begun{};
  bool best = false;  // of the best evaluation so far
  Manifest manifest;  // what is known already
  std::unique_ptr<RankFiles> files;
  Status failure;  // to begin; there are no files then

  // Waits for the files, and adds what this rank knows.
  Status Collect(RankPart* part) {
    // First of all: what fails here must not leave a thread that writes on.
    const auto written = failure.ok() ? files->Join() : Result<Manifest>(failure);
    *part->mutable_manifest() = manifest;
    TRESTLE_RETURN_IF_ERROR(failure);
    part->set_snapshot_peak_bytes(files->memory().peak());
    part->set_waited_seconds(Seconds(files->memory().waited()));
    TRESTLE_RETURN_IF_ERROR(written.status());
    part->mutable_manifest()->MergeFrom(*written);
    return {};
  }
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
  if (in_flight_ && in_flight_->files) in_flight_->files->BeginStep();
  return report;
}

void CheckpointWriter::SetEvaluations(EvaluationRecord record) {
  const EvaluationRecord& before = evaluations();
  const bool same = before.metric() == record.metric() && before.files() == record.files();
  record.set_checkpoint(same ? before.checkpoint() : "");
  record.set_digest(same ? before.digest() : "");
  *options_.facts.mutable_evaluations() = std::move(record);
}

Result<std::optional<CheckpointReport>> CheckpointWriter::KeepBest(const Cursor& cursor) {
  std::optional<CheckpointReport> report;
  if (in_flight_ && in_flight_->manifest.cursor().step() != cursor.step()) {
    TRESTLE_ASSIGN_OR_RETURN(report, Complete());
  }
  if (!in_flight_) Begin(cursor, false);
  in_flight_->best = true;
  // One that fell due at this step was begun before the evaluation.
  if (leads()) *in_flight_->manifest.mutable_evaluations() = evaluations();
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
  if (options_.policy.incremental && base_ && deltas_since_full_ + 1 < options_.policy.full_every) {
    flight.manifest.set_base(base_->name);
    flight.manifest.set_base_step(base_->step);
  }
  flight.failure =
      WithinMemory("marking", kNoCheckpointMemory, [&] { return StartWriting(number, &flight); });
  if (flight.failure.ok()) return;
  flight.files = nullptr;  // whose snapshots nobody reads
  written_ = number;
}

// Marks the tables, copies the dense side on the leader, and starts the thread.
Status CheckpointWriter::StartWriting(uint32_t number, InFlight* flight) {
  RankFiles::Spec spec;
  spec.folder = options_.folder + "/" + flight->manifest.name();
  spec.server = node_.server_index();
  spec.servers = node_.server_count();
  spec.newer_than = flight->manifest.base_step();
  spec.snapshot_bytes = options_.policy.snapshot_bytes;
  spec.patience = options_.policy.patience;
  std::vector<NamedTensor> dense;
  if (leads()) {
    // An epoch that closes while this is written is not in it: its cursor stands before.
    *flight->manifest.mutable_ledger() = options_.facts.ledger();
    if (options_.facts.has_evaluations()) {
      *flight->manifest.mutable_evaluations() = evaluations();
    }
    dense = CopyDense(*backend_, &flight->manifest);
  }
  flight->files =
      std::make_unique<RankFiles>(fs_, std::move(spec), node_.tables(), std::move(dense));
  return flight->files->Start([this, number] { written_ = number; });
}

Result<CheckpointReport> CheckpointWriter::Complete() {
  const std::unique_ptr<InFlight> flight = std::move(in_flight_);
  const Operation op = Completing(flight->manifest.cursor().step());
  CheckpointReport report;
  report.name = flight->manifest.name();
  report.step = flight->manifest.cursor().step();
  report.full = flight->manifest.base().empty();
  report.best = flight->best;
  report.failure = MakeComplete(flight.get(), &report);
  if (BreaksTheJob(report.failure)) return report.failure;
  report.seconds = Seconds(clock_.Now() - flight->begun);
  if (leads()) {
    report.cleanup =
        WithinMemory("cleaning up", kNoCheckpointMemory, [&] { return CleanUp(report); });
  }
  // No rank begins the next one before: half written, it is like what goes, and where one has
  // failed at the last step it even has its name.
  TRESTLE_RETURN_IF_ERROR(comm_.Barrier(op));
  if (!report.failure.ok()) return report;
  ++complete_;
  deltas_since_full_ = report.full ? 0 : deltas_since_full_ + 1;
  if (report.full) base_ = {report.name, report.step};
  if (!leads()) newest_ = std::move(flight->manifest);  // the leader has all of it
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

// The ranks' parts meet on the leader, which writes the MANIFEST. Agreed on.
Status CheckpointWriter::MakeComplete(InFlight* flight, CheckpointReport* report) {
  const Operation op = Completing(report->step);
  std::string mine;
  Status written = WithinMemory("collecting", kNoCheckpointMemory, [&] {
    RankPart part;
    const Status collected = flight->Collect(&part);
    mine = part.SerializeAsString();
    return collected;
  });
  TRESTLE_ASSIGN_OR_RETURN(const auto texts, comm_.Gather(op, mine, options_.leader));
  std::vector<RankPart> parts;
  const Status read = WithinMemory("collecting", kNoCheckpointMemory,
                                   [&] { return ReadParts(texts, &parts, report); });
  if (written.ok()) written = read;
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, op, written));
  Status complete;
  if (leads()) {
    complete = WithinMemory("completing", kNoCheckpointMemory,
                            [&] { return WriteManifestOfAll(parts, report); });
  }
  return AgreeOnStatus(comm_, op, complete);
}

// What all ranks have told, of failed ones too. The leader's; others have no texts.
Status CheckpointWriter::ReadParts(const std::vector<std::string>& texts,
                                   std::vector<RankPart>* parts, CheckpointReport* report) {
  for (const std::string& text : texts) {
    RankPart& part = parts->emplace_back();
    if (!part.ParseFromString(text)) {
      return {StatusCode::kInternal,
              "rank " + std::to_string(parts->size() - 1) + "'s part of a checkpoint is none"};
    }
    report->snapshot_peak_bytes =
        std::max<int64_t>(report->snapshot_peak_bytes, part.snapshot_peak_bytes());
    report->waited_seconds += part.waited_seconds();
  }
  return {};
}

Status CheckpointWriter::WriteManifestOfAll(const std::vector<RankPart>& parts,
                                            CheckpointReport* report) {
  Manifest all = options_.facts;
  all.set_format(kCheckpointFormat);
  all.set_attempt(options_.attempt);
  all.set_number(complete_ + 1);
  const Manifest& mine = parts[static_cast<size_t>(options_.leader.value)].manifest();
  all.set_name(mine.name());
  all.set_finished(mine.finished());
  all.set_dense_digest(mine.dense_digest());
  *all.mutable_dense() = mine.dense();
  *all.mutable_ledger() = mine.ledger();
  all.clear_evaluations();
  if (mine.has_evaluations()) *all.mutable_evaluations() = mine.evaluations();
  all.set_base(mine.base());
  all.set_base_step(mine.base_step());
  if (!mine.base().empty()) {
    TRESTLE_ASSIGN_OR_RETURN(*all.mutable_base_xxh3_128(),
                             ManifestHash(fs_, options_.folder + "/" + mine.base()));
  }
  *all.mutable_cursor() = mine.cursor();
  for (size_t r = 0; r < parts.size(); ++r) {
    const bool leaders = Rank{static_cast<int>(r)} == options_.leader;
    AddPart(parts[r].manifest(), leaders, &all);
  }
  all.set_digest(ModelDigest(all));
  report->digest = all.digest();
  if (report->best) {
    all.mutable_evaluations()->set_checkpoint(all.name());
    all.mutable_evaluations()->set_digest(all.digest());
  }
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
  if (report->best) {
    options_.facts.mutable_evaluations()->set_checkpoint(all.name());
    options_.facts.mutable_evaluations()->set_digest(all.digest());
  }
  newest_ = std::move(all);
  return {};
}

// Nothing was trained since the newest: only what it says of the run has changed. The leader's.
Status CheckpointWriter::Restate(const Cursor& cursor, bool finished) {
  // In the middle of an epoch the one that is there has the sums of all workers.
  if (cursor.epoch() != newest_->cursor().epoch()) *newest_->mutable_cursor() = cursor;
  newest_->set_finished(finished);
  *newest_->mutable_ledger() = options_.facts.ledger();
  if (options_.facts.has_evaluations()) *newest_->mutable_evaluations() = evaluations();
  return WriteManifest(fs_, options_.folder + "/" + newest_->name(), *newest_);
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
    Status restated;
    if (leads()) {
      restated =
          WithinMemory("restating", kNoCheckpointMemory, [&] { return Restate(cursor, finished); });
    }
    restated = AgreeOnStatus(comm_, Completing(cursor.step()), restated);
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
