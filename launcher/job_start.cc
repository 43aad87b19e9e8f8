#include <glog/logging.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/atomic_file.h"
#include "base/hash.h"
#include "launcher/checkpoint/find.h"
#include "launcher/format.h"
#include "launcher/job.h"
#include "launcher/job_operations.h"
#include "launcher/startup.h"
#include "launcher/version.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/restore.h"
#include "ps/checkpoint/store_filesystem.h"
#include "worker/derived_keys.h"
#include "worker/reject_file.h"

namespace trestle {
namespace {

constexpr Operation kStarting{Stream::kControl, "starting"};

// Whether an older checkpoint may be better.
bool IsDamage(StatusCode code) {
  return code == StatusCode::kCorrupt || code == StatusCode::kNotFound ||
         code == StatusCode::kIoError;
}

std::vector<NumericStatistics> StatisticsOf(const Manifest& checkpoint) {
  std::vector<NumericStatistics> statistics;
  for (const NumericStatisticsEntry& s : checkpoint.numeric()) {
    statistics.push_back({s.count(), s.mean(), s.std(), s.min(), s.max()});
  }
  return statistics;
}

// The training's, by column.
BucketBounds BoundsIn(const Manifest& checkpoint, const Schema& schema) {
  BucketBounds bounds = GivenBounds(schema);
  for (size_t b = 0; b < bounds.size(); ++b) {
    for (const BucketBoundsEntry& entry : checkpoint.buckets()) {
      if (entry.column() != schema.buckets[b].column) continue;
      bounds[b].assign(entry.bounds().begin(), entry.bounds().end());
    }
  }
  return bounds;
}

// Whether the path is one of something in the folder, however both are spelled.
bool IsIn(const std::string& path, const std::string& folder) {
  if (IsStoreUri(path) || IsStoreUri(folder)) return path.starts_with(folder + "/");
  std::error_code error;
  const auto parent = std::filesystem::canonical(path, error).parent_path();
  return !error && std::filesystem::equivalent(parent, folder, error);
}

// Complete ones of the training that goes on, newest first.
Result<std::vector<std::string>> CompleteCheckpoints(FileSystem& fs, const std::string& folder) {
  TRESTLE_ASSIGN_OR_RETURN(const auto found, ListCheckpoints(fs, folder));
  TRESTLE_ASSIGN_OR_RETURN(const int64_t first_attempt, FirstAttempt(fs, folder));
  std::vector<std::string> paths;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    if (it->complete && it->name.attempt >= first_attempt) paths.push_back(it->path);
  }
  return paths;
}

Result<std::vector<std::string>> Candidates(FileSystem& fs, const std::string& folder,
                                            const StartOptions& start) {
  if (start.resume != "latest" && !start.resume.empty()) {
    TRESTLE_ASSIGN_OR_RETURN(const std::string path, FindCheckpoint(fs, start.resume));
    return std::vector<std::string>{path};
  }
  TRESTLE_ASSIGN_OR_RETURN(auto paths, CompleteCheckpoints(fs, folder));
  if (!start.resume.empty()) return paths;
  if (paths.empty() || start.fresh) return std::vector<std::string>();
  return Status(
      StatusCode::kInvalidConfig,
      paths.front() +
          " is of an earlier run: go on from it with --resume latest, start "
          "over with --fresh (its checkpoints go as new ones come), or set checkpoint.dir");
}

}  // namespace

Result<std::vector<std::string>> Job::FindStart(const StartOptions& start) {
  std::string text;
  Status found;
  if (leads()) {
    const auto paths = Candidates(fs_, checkpoints(), start);
    found = paths.status();
    for (size_t i = 0; paths.ok() && i < paths->size(); ++i) text += (*paths)[i] + "\n";
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kStarting, found));
  TRESTLE_ASSIGN_OR_RETURN(const auto all, comm_.AllGather(kStarting, text));
  std::istringstream lines(all[static_cast<size_t>(leader_.value)]);
  std::vector<std::string> paths;
  for (std::string line; std::getline(lines, line);) paths.push_back(line);
  return paths;
}

// The next attempt, and a file that all ranks must see.
Status Job::CountAttempt() {
  int64_t attempt = 0;
  Status taken;
  const auto probe = [&] { return checkpoints() + "/probe." + std::to_string(attempt); };
  if (leads()) {
    auto next = TakeAttempt(fs_, checkpoints());
    taken = next.status();
    if (next.ok()) attempt = *next;
    if (taken.ok()) taken = WriteFileAtomically(fs_, probe(), comm_.host() + "\n");
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kStarting, taken));
  TRESTLE_RETURN_IF_ERROR(comm_.AllReduceSum(kStarting, std::span(&attempt, 1)));
  attempt_ = attempt;
  const Status seen =
      fs_.Exists(probe())
          ? Status()
          : Status(StatusCode::kMismatch,
                   "host " + comm_.host() + " does not share the folder " + checkpoints() +
                       " with the others; set checkpoint.dir or checkpoint.store to one that all "
                       "hosts see");
  const Status agreed = AgreeOnStatus(comm_, kStarting, seen);
  if (leads()) {
    const Status removed = fs_.Remove(probe());
    LOG_IF(WARNING, !removed.ok()) << removed.ToString();
  }
  return agreed;
}

Status Job::Start(const StartOptions& start) {
  TRESTLE_RETURN_IF_ERROR(FillParts(start));
  Status written;
  if (leads()) {
    written = WriteFileAtomically(fs_, folder() + "/config.textproto", Canonical(loaded_.config));
  }
  return AgreeOnStatus(comm_, kStarting, written);
}

// Of the same folder, which may have a good one where this one is damaged.
std::string Job::OfferGoodOnes(const std::string& damaged) const {
  const std::string folder = damaged.substr(0, damaged.rfind('/'));
  const auto others = CompleteCheckpoints(fs_, folder);
  std::string text;
  for (size_t i = 0; others.ok() && i < others->size(); ++i) {
    if ((*others)[i] != damaged && CheckpointReader::Open(fs_, (*others)[i]).ok()) {
      text += (text.empty() ? "; beside it are " : ", ") +
              (*others)[i].substr((*others)[i].rfind('/') + 1);
    }
  }
  return text;
}

Status Job::FillParts(const StartOptions& start) {
  TRESTLE_ASSIGN_OR_RETURN(const auto paths, FindStart(start));
  TRESTLE_RETURN_IF_ERROR(CountAttempt());
  if (start.fresh) {
    const Status noted = leads() ? BeginAnew(fs_, checkpoints(), attempt_) : Status();
    TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kStarting, noted));
  }
  for (size_t i = 0; i < paths.size(); ++i) {
    TRESTLE_RETURN_IF_ERROR(BuildParts());
    const Status resumed = Resume(paths[i], start);
    if (resumed.ok()) return {};
    const bool latest = start.resume == "latest";
    if (!IsDamage(resumed.code())) return resumed;
    if (!latest) return resumed.Wrap("cannot resume" + OfferGoodOnes(paths[i]));
    if (i + 1 == paths.size()) {
      return resumed.Wrap("none of the checkpoints in " + checkpoints() +
                          " is whole; --fresh starts over");
    }
    progress_->Say("WARNING: " + resumed.ToString() + "; taking the one before: " + paths[i + 1]);
    progress_->Log("checkpoint_damaged", {{"path", paths[i]}, {"error", resumed.ToString()}});
  }
  TRESTLE_RETURN_IF_ERROR(BuildParts());
  if (start.resume == "latest") {
    progress_->Say("no checkpoint in " + checkpoints() + ": starting at the beginning");
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kStarting, RemoveRejectFiles(fs_, folder())));
  TRESTLE_RETURN_IF_ERROR(ShareStatistics());
  TRESTLE_RETURN_IF_ERROR(ShareBounds());
  return start.warm_start.empty() ? Status() : WarmStart(start.warm_start);
}

// Reads it into the parts, which are new; agreed on.
Status Job::Resume(const std::string& path, const StartOptions& start) {
  Status loaded;
  auto checkpoint = CheckpointReader::Open(fs_, path);
  loaded = checkpoint.status();
  if (loaded.ok()) loaded = TakeOver((*checkpoint)->manifest(), start);
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kLoading, loaded));
  const Manifest& manifest = (*checkpoint)->manifest();
  const auto wanted = [&](const std::string& table) {
    return FindTable(manifest, table) != nullptr;
  };
  loaded = RestoreTables(**checkpoint, wanted, node_.get());
  if (loaded.ok() && backend_) {
    loaded = RestoreDense(**checkpoint, start.flags.allow_new, backend_.get());
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kLoading, loaded));
  TRESTLE_RETURN_IF_ERROR(CheckRestored(manifest, start.flags.allow_new).Wrap(path));
  int64_t here = leads() && IsIn(path, checkpoints()) ? 1 : 0;
  TRESTLE_RETURN_IF_ERROR(comm_.AllReduceSum(kLoading, std::span(&here, 1)));
  if (here != 0) {
    resumed_ = manifest;
  } else {  // the best one stays where it is
    evaluations_.clear_checkpoint();
    evaluations_.clear_digest();
  }
  Status steps_left;
  if (train_ && !CheckInputs(manifest, train_->files()).ok()) {
    BeginSegment();
    if (AtLastStep()) {
      steps_left = {StatusCode::kInvalidConfig,
                    loaded_.Place("train.max_steps") + ": train.max_steps " +
                        std::to_string(loaded_.config.train().max_steps()) +
                        " is reached, so that nothing of the next segment would be trained; raise "
                        "it"};
    }
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kLoading, steps_left));
  progress_->Say(Format("resumed %s: step %ld, epoch %ld, %ld steps into it", path.c_str(),
                        cursor_.step(), cursor_.epoch() + 1, cursor_.epoch_step()));
  for (const std::string& line : divergences_) progress_->Say("bits diverge here: " + line);
  progress_->Log("resume", {{"path", path}, {"step", cursor_.step()}, {"attempt", attempt_}});
  return {};
}

Status Job::TakeOver(const Manifest& checkpoint, const StartOptions& start) {
  TRESTLE_ASSIGN_OR_RETURN(
      auto divergences, CheckCompatible(checkpoint, loaded_, plan_, instruction_set_, start.flags));
  cursor_ = checkpoint.cursor();
  if (!leads()) {  // what is a sum over the workers stays with one
    cursor_.clear_positives();
    cursor_.clear_rows_read();
    cursor_.clear_rows_rejected();
    cursor_.clear_rows_left_out();
    cursor_.clear_ledger_hash();
  }
  evaluations_ = checkpoint.evaluations();
  complete_checkpoints_ = checkpoint.number();
  ledger_ = {checkpoint.ledger().begin(), checkpoint.ledger().end()};
  divergences_ = {checkpoint.divergences().begin(), checkpoint.divergences().end()};
  divergences_.insert(divergences_.end(), divergences.begin(), divergences.end());
  statistics_ = StatisticsOf(checkpoint);
  bounds_ = BoundsIn(checkpoint, plan_.schema);
  if (!train_) return {};
  const Status same = CheckInputs(checkpoint, train_->files());
  if (same.ok() || !start.next_segment) return same;
  if (!checkpoint.finished()) {
    return Status(StatusCode::kInvalidConfig,
                  checkpoint.name() + " is in the middle of segment " +
                      std::to_string(cursor_.segment()) +
                      ": finish it with its own files (--resume latest) before the next one");
  }
  return {};
}

// In a new segment only what training has learned goes on.
void Job::BeginSegment() {
  Cursor next;
  next.set_step(cursor_.step());
  next.set_segment(cursor_.segment() + 1);
  cursor_ = next;
  evaluations_.Clear();
}

Status Job::CheckRestored(const Manifest& checkpoint, bool new_layers) {
  std::vector<int64_t> sums(static_cast<size_t>(checkpoint.tables_size()), 0);
  for (const EmbeddingTable* table : node_->tables()) {
    for (int t = 0; t < checkpoint.tables_size(); ++t) {
      if (checkpoint.tables(t).name() != table->spec().name) continue;
      sums[static_cast<size_t>(t)] = static_cast<int64_t>(table->Digest());
    }
  }
  TRESTLE_RETURN_IF_ERROR(comm_.AllReduceSum(kLoading, sums));
  Status same;
  for (int t = 0; t < checkpoint.tables_size() && same.ok(); ++t) {
    const uint64_t found = static_cast<uint64_t>(sums[static_cast<size_t>(t)]);
    if (found == checkpoint.tables(t).digest()) continue;
    same = {StatusCode::kCorrupt, "table " + checkpoint.tables(t).name() + " has digest " +
                                      Hex(found) + " once loaded, expected " +
                                      Hex(checkpoint.tables(t).digest())};
  }
  if (same.ok() && !new_layers && backend_ && backend_->Digest() != checkpoint.dense_digest()) {
    same = {StatusCode::kCorrupt, "the network has digest " + Hex(backend_->Digest()) +
                                      " once loaded, expected " + Hex(checkpoint.dense_digest())};
  }
  return AgreeOnStatus(comm_, kLoading, same);
}

// Tables that mean the same in both: their rows, and what hashed the strings among their keys.
Status Job::WarmStart(const std::string& path) {
  std::string taken, left;
  const auto newest = FindCheckpoint(fs_, path);
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kStarting, newest.status()));
  // A run that goes on meanwhile writes new ones: the first rank's choice is everybody's.
  TRESTLE_ASSIGN_OR_RETURN(const auto all, comm_.AllGather(kStarting, *newest));
  const std::string& found = all.front();
  const auto warm = [&]() -> Status {
    TRESTLE_ASSIGN_OR_RETURN(const auto checkpoint, CheckpointReader::Open(fs_, found));
    std::set<std::string> wanted;
    for (size_t t = 0; t < plan_.tables.size(); ++t) {
      const TableSpec& spec = plan_.tables[t];
      const TableEntry* const entry = FindTable(checkpoint->manifest(), spec.name);
      if (entry == nullptr) continue;
      const bool same = entry->dim() == spec.dim && entry->optimizer() == OptimizerName(spec) &&
                        entry->seed() == spec.seed &&
                        entry->keys() == MeaningOfKeys(plan_.schema, bounds_, static_cast<int>(t));
      (same ? taken : left) += " " + spec.name;
      if (same) wanted.insert(spec.name);
    }
    if (wanted.empty()) {
      return {StatusCode::kInvalidConfig,
              found +
                  ": none of its tables has the name, dim, optimizer, seed and keys of one here" +
                  (left.empty() ? "" : "; the name alone:" + left)};
    }
    return RestoreTables(
        *checkpoint, [&](const std::string& table) { return wanted.contains(table); }, node_.get());
  };
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kLoading, warm()));
  progress_->Say("warm start from " + path + ": tables" + taken +
                 (left.empty() ? "" : "; not, for another dim, optimizer, seed or keys:" + left));
  divergences_.push_back("step 0: warm start from " + path + ":" + taken);
  return {};
}

Status Job::LoadModel(const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const auto checkpoint, CheckpointReader::Open(fs_, path));
  const Manifest& manifest = checkpoint->manifest();
  TRESTLE_RETURN_IF_ERROR(CheckModel(manifest, loaded_, plan_));
  TRESTLE_RETURN_IF_ERROR(RestoreTables(
      *checkpoint, [](const std::string&) { return true; }, node_.get()));
  if (backend_) TRESTLE_RETURN_IF_ERROR(RestoreDense(*checkpoint, false, backend_.get()));
  statistics_ = StatisticsOf(manifest);
  bounds_ = BoundsIn(manifest, plan_.schema);
  return {};
}

Manifest Job::MakeFacts() const {
  Manifest facts;
  facts.set_program(BuildFacts());
  for (const InputFile& file : train_->files()) {
    InputFileEntry* const entry = facts.add_inputs();
    entry->set_path(file.path);
    entry->set_rows(file.rows);
    entry->set_fingerprint(file.fingerprint);
  }
  RunFacts* const run = facts.mutable_run();
  run->set_workers(static_cast<int32_t>(roles_.workers.size()));
  run->set_servers(static_cast<int32_t>(roles_.servers.size()));
  run->set_dedicated(loaded_.config.cluster().servers() > 0);
  run->set_threads(threads_);
  run->set_lanes(plan_.lanes);
  run->set_instruction_set(instruction_set_);
  run->set_libraries(KernelLibraryVersions());
  run->set_device("cpu");
  for (const NumericStatistics& s : statistics_) {
    NumericStatisticsEntry* const entry = facts.add_numeric();
    entry->set_count(s.count);
    entry->set_mean(s.mean);
    entry->set_std(s.std);
    entry->set_min(s.min);
    entry->set_max(s.max);
  }
  for (size_t b = 0; b < bounds_.size(); ++b) {
    BucketBoundsEntry* const entry = facts.add_buckets();
    entry->set_column(plan_.schema.buckets[b].column);
    for (const double bound : bounds_[b]) entry->add_bounds(bound);
  }
  for (size_t t = 0; t < plan_.tables.size(); ++t) {
    const TableSpec& spec = plan_.tables[t];
    TableEntry* const entry = facts.add_tables();
    entry->set_name(spec.name);
    entry->set_dim(spec.dim);
    entry->set_optimizer(OptimizerName(spec));
    entry->set_seed(spec.seed);
    entry->set_keys(MeaningOfKeys(plan_.schema, bounds_, static_cast<int>(t)));
  }
  for (const std::string& line : divergences_) facts.add_divergences(line);
  for (const LedgerEntry& entry : ledger_) *facts.add_ledger() = entry;
  if (evaluations_.step() > 0) *facts.mutable_evaluations() = evaluations_;
  facts.set_config(Canonical(loaded_.config));
  return facts;
}

void Job::MakeCheckpoints() {
  const Checkpoint& config = loaded_.config.checkpoint();
  CheckpointWriter::Options options;
  options.folder = checkpoints();
  options.leader = leader_;
  options.attempt = attempt_;
  options.complete_before = complete_checkpoints_;
  options.policy.every_steps = config.every_steps();
  options.policy.every =
      std::chrono::nanoseconds(static_cast<int64_t>(config.every_minutes() * 60e9));
  options.policy.retention = {config.keep(), config.keep_every()};
  options.policy.snapshot_bytes = int64_t{config.snapshot_mb()} << 20;
  const std::chrono::nanoseconds deadline =
      std::chrono::seconds(loaded_.config.cluster().deadline_s());
  options.policy.patience = deadline / 4;
  options.policy.incremental = config.incremental();
  options.policy.full_every = config.full_every();
  if (leads()) options.facts = MakeFacts();
  checkpoints_ = std::make_unique<CheckpointWriter>(comm_, fs_, clock_, *node_, backend_.get(),
                                                    std::move(options));
}

}  // namespace trestle
