#include "launcher/job.h"

#include <cstdio>

#include "base/atomic_file.h"
#include "base/hash.h"
#include "launcher/checkpoint/find.h"
#include "launcher/checkpoint/text.h"
#include "launcher/evaluation.h"
#include "launcher/format.h"
#include "launcher/job_operations.h"
#include "launcher/signals.h"
#include "ps/checkpoint/restore.h"
#include "worker/negative_keep.h"
#include "worker/reject_file.h"

namespace trestle {
namespace {

RunLog::Fields LedgerFields(const PassResult& pass) {
  return {{"steps", pass.steps},
          {"skipped_steps", pass.skipped_steps},
          {"rows_read", pass.ledger.read},
          {"rows_rejected", pass.ledger.rejected},
          {"rows_left_out", pass.ledger.left_out},
          {"ledger", Hex(pass.ledger.hash)}};
}

}  // namespace

Trainer Job::MakeTrainer() { return MakeTrainer(RejectPath(folder(), comm_.rank())); }

Trainer Job::MakeTrainer(const std::string& reject_path) {
  TrainerOptions options;
  options.worker = worker_;
  options.workers = static_cast<int>(roles_.workers.size());
  options.batch_rows = plan_.batch_rows;
  options.lanes = plan_.lanes;
  options.seed = plan_.seed;
  options.max_bad_rows = loaded_.config.data().max_bad_rows();
  options.order = loaded_.config.data().order();
  if (loaded_.config.cluster().servers() > 0) options.dedicated_servers = roles_.servers;
  options.clock = &clock_;
  options.on_bad_step = loaded_.config.train().on_bad_step();
  options.statistics = statistics_;
  options.bounds = bounds_;
  options.negative_keep = NegativeKeep(loaded_.config.data());
  options.reject_path = reject_path;
  options.stop_requested = StopRequested;
  options.out_of_time = [this] { return OutOfTime(); };
  options.segment = cursor_.segment();
  options.steps_done = cursor_.step();
  options.schedule = loaded_.config.optimizer().schedule();
  options.steps_before_segment = StepsBeforeSegment();
  if (checkpoints_) {
    options.at_boundary = [this](const StepBoundary& boundary) {
      return AtBoundary(boundary.header, boundary.epoch, &boundary.progress);
    };
  }
  return {node_->client(), *backend_, comm_, *pool_, *progress_, fs_, std::move(options)};
}

// The ledger knows it once an epoch of the segment is done.
int64_t Job::StepsBeforeSegment() const {
  for (const LedgerEntry& entry : ledger_) {
    if (entry.segment() == cursor_.segment()) return entry.first_step();
  }
  return cursor_.step() - cursor_.epoch_step();
}

Status Job::Train(const StartOptions& start) {
  TRESTLE_RETURN_IF_ERROR(SetUp("train"));
  Greet("train");
  TRESTLE_RETURN_IF_ERROR(Start(start));
  ResumeEvaluations();
  MakeCheckpoints();
  StopAtStepBoundaries();
  training_since_ = clock_.Now();
  const int64_t steps_before = cursor_.step();
  const Status status = RunRole();
  // Bad data and bad numbers are agreed on at a step boundary; after other failures ranks may be
  // gone.
  const bool in_step = status.ok() || status.code() == StatusCode::kInvalidData ||
                       status.code() == StatusCode::kNumeric;
  if (!in_step) return status;
  TRESTLE_RETURN_IF_ERROR(ShareOutcome());
  if (status.ok() || cursor_.step() > steps_before) TRESTLE_RETURN_IF_ERROR(Finish());
  TRESTLE_RETURN_IF_ERROR(status);
  return AgreeOnStop("stopped on request after step " + std::to_string(cursor_.step()) +
                     "; go on with --resume latest");
}

Status Job::RunRole() {
  if (worker_ < 0) return node_->Serve();
  Trainer trainer = MakeTrainer();
  TRESTLE_RETURN_IF_ERROR(TrainEpochs(trainer));
  return trainer.Stop();
}

// The leader says it, once for the job.
Status Job::AgreeOnStop(const std::string& what) {
  const bool stopped = leads() && stopped_;
  return AgreeOnStatus(comm_, kSetUp, stopped ? Status(StatusCode::kInterrupted, what) : Status());
}

bool Job::OutOfTime() const {
  const auto& train = loaded_.config.train();
  return leads() && train.has_max_minutes() &&
         Seconds(clock_.Now() - training_since_) >= 60 * train.max_minutes();
}

bool Job::AtLastStep() const {
  const auto& train = loaded_.config.train();
  return train.has_max_steps() && cursor_.step() >= train.max_steps();
}

Status Job::TrainEpochs(Trainer& trainer) {
  const int64_t epochs = loaded_.config.train().epochs();
  const int64_t every = loaded_.config.train().eval_every_steps();
  // An epoch that was begun is ended here, unless it was: its evaluation may be missing.
  const bool begun = cursor_.epoch_step() > 0 && !(resumed_ && resumed_->finished());
  ended_ = stopping_->exhausted() || (AtLastStep() && !begun);
  for (int64_t epoch = cursor_.epoch(); epoch < epochs && !stopped_ && !ended_; ++epoch) {
    TRESTLE_ASSIGN_OR_RETURN(const PassResult pass, TrainEpoch(trainer, epoch));
    // Where max_steps or max_minutes end it the run that has more would not evaluate.
    const bool counts = pass.complete || (every > 0 && cursor_.step() % every == 0);
    if (!stopped_) TRESTLE_RETURN_IF_ERROR(EvaluateTraining(trainer, counts));
    if (!stopped_ && pass.complete) BeginEpoch(epoch + 1);
  }
  if (!stopped_ && AtLastStep() && cursor_.epoch() < epochs) {
    progress_->Say("train.max_steps are done");
  }
  finished_ = !stopped_;
  return trainer.CompareReplicas();
}

EpochPauses Job::PausesOf(Trainer& trainer) {
  const auto& train = loaded_.config.train();
  EpochPauses pauses;
  if (!Sets().empty()) pauses.every_steps = train.eval_every_steps();
  if (train.has_max_steps()) pauses.last_step = train.max_steps();
  pauses.at_pause = [&](int64_t) -> Result<bool> {
    TRESTLE_RETURN_IF_ERROR(EvaluateTraining(trainer, /*counts=*/true));
    return !stopped_ && !ended_;
  };
  return pauses;
}

// What the epoch has done already where training was resumed inside it.
EpochProgress Job::ProgressAtStart() const {
  EpochProgress done;
  done.steps = cursor_.epoch_step();
  done.skipped_steps = cursor_.skipped_steps();
  done.rows = cursor_.rows();
  done.applied_rows = cursor_.applied_rows();
  done.loss_sum = cursor_.loss_sum();
  if (!leads()) return done;  // the rest adds up over the workers
  done.positives = cursor_.positives();
  done.ledger = {cursor_.rows_read(), cursor_.rows_rejected(), cursor_.ledger_hash(),
                 cursor_.rows_left_out()};
  return done;
}

Result<PassResult> Job::TrainEpoch(Trainer& trainer, int64_t epoch) {
  const Clock::Duration start = clock_.Now();
  const int64_t epochs = loaded_.config.train().epochs();
  const EpochProgress done = ProgressAtStart();
  evaluating_ = {};
  TRESTLE_ASSIGN_OR_RETURN(const PassResult pass,
                           trainer.TrainEpoch(*train_, epoch, epochs, done, PausesOf(trainer)));
  stopped_ = stopped_ || pass.stopped;
  ended_ = ended_ || pass.out_of_time || AtLastStep();
  const double seconds = Seconds(clock_.Now() - start - evaluating_);
  const std::string skipped =
      pass.skipped_steps ? Format(", %ld bad steps skipped", pass.skipped_steps) : "";
  const std::string resumed =
      done.steps ? Format(" (%ld of them before this start)", done.steps) : "";
  progress_->Say(Format("epoch %ld/%ld  %ld steps%s in %s, %.0f rows/s, loss %.4f%s", epoch + 1,
                        epochs, pass.steps, resumed.c_str(), FormatDuration(seconds).c_str(),
                        static_cast<double>(pass.rows - done.rows) / seconds, pass.loss,
                        skipped.c_str()));
  const std::string left_out =
      pass.ledger.left_out ? Format(", %ld negatives left out", pass.ledger.left_out) : "";
  progress_->Say(Format("ledger  %ld rows read, %ld rejected%s, %ld expected, hash %s%s",
                        pass.ledger.read, pass.ledger.rejected, left_out.c_str(), train_->rows(),
                        Hex(pass.ledger.hash).c_str(),
                        pass.complete ? ": closed" : " (stopped early)"));
  if (pass.out_of_time) progress_->Say("train.max_minutes are over; --resume latest goes on");
  RunLog::Fields fields = {{"segment", cursor_.segment()},
                           {"epoch", epoch + 1},
                           {"seconds", seconds},
                           {"loss", pass.loss},
                           {"closed", pass.complete}};
  const RunLog::Fields ledger = LedgerFields(pass);
  fields.insert(fields.end(), ledger.begin(), ledger.end());
  progress_->Log("epoch", fields);
  LogCosts(epoch + 1, pass, done, seconds);
  if (pass.complete) last_pass_ = pass;
  return pass;
}

// Of the epoch's steps that this start did; times are summed over the workers.
void Job::LogCosts(int64_t epoch, const PassResult& pass, const EpochProgress& done,
                   double seconds) {
  const StepCosts& costs = pass.costs;
  RunLog::Fields fields = {{"segment", cursor_.segment()},
                           {"epoch", epoch},
                           {"hosts", int64_t{hosts_}},
                           {"workers", static_cast<int64_t>(roles_.workers.size())},
                           {"threads", int64_t{threads_}},
                           {"steps", pass.steps - done.steps},
                           {"rows", pass.rows - done.rows},
                           {"seconds", seconds}};
  for (int phase = 0; phase < kStepPhases; ++phase) {
    fields.emplace_back(std::string(kStepPhaseNames[static_cast<size_t>(phase)]) + "_s",
                        costs.phase_s(static_cast<StepPhase>(phase)));
  }
  fields.insert(fields.end(), {{"occurrences", costs.occurrences},
                               {"unique_keys", costs.unique_keys},
                               {"remote_keys", costs.remote_keys},
                               {"needed_bytes", costs.needed_bytes},
                               {"keys_bytes", costs.keys_bytes},
                               {"rows_bytes", costs.rows_bytes},
                               {"dense_bytes", costs.dense_bytes}});
  progress_->Log("cost", fields);
}

// The epoch before is done, its evaluation included.
void Job::BeginEpoch(int64_t epoch) {
  LedgerEntry entry;
  entry.set_segment(cursor_.segment());
  entry.set_epoch(epoch - 1);
  entry.set_first_step(cursor_.step() - last_pass_.steps);
  entry.set_last_step(cursor_.step());
  entry.set_rows_read(last_pass_.ledger.read);
  entry.set_rows_rejected(last_pass_.ledger.rejected);
  entry.set_hash(last_pass_.ledger.hash);
  entry.set_files(train_->Fingerprint());
  checkpoints_->AddLedgerEntry(entry);
  Cursor next;
  next.set_step(cursor_.step());
  next.set_segment(cursor_.segment());
  next.set_epoch(epoch);
  cursor_ = next;
}

Status Job::AtBoundary(const AgreedHeader& header, int64_t epoch, const EpochProgress* progress) {
  cursor_.set_step(header.step);
  if (header.action == Action::kCheckpoint) return KeepBest();
  if (progress) {
    cursor_.set_epoch(epoch);
    cursor_.set_epoch_step(progress->steps);
    cursor_.set_skipped_steps(progress->skipped_steps);
    cursor_.set_rows(progress->rows);
    cursor_.set_applied_rows(progress->applied_rows);
    cursor_.set_loss_sum(progress->loss_sum);
    cursor_.set_positives(progress->positives);
    cursor_.set_rows_read(progress->ledger.read);
    cursor_.set_rows_rejected(progress->ledger.rejected);
    cursor_.set_rows_left_out(progress->ledger.left_out);
    cursor_.set_ledger_hash(progress->ledger.hash);
  }
  TRESTLE_ASSIGN_OR_RETURN(const auto report, checkpoints_->AtBoundary(header, cursor_));
  if (report) Tell(*report, "training goes on");
  return {};
}

// On the leader's progress and in metrics.jsonl.
void Job::Tell(const CheckpointReport& report, const std::string& if_failed) {
  RunLog::Fields fields = {{"name", report.name},
                           {"step", report.step},
                           {"full", report.full},
                           {"best", report.best},
                           {"complete", report.failure.ok()},
                           {"seconds", report.seconds},
                           {"rows", report.rows},
                           {"bytes", report.bytes},
                           {"snapshot_peak_bytes", report.snapshot_peak_bytes},
                           {"waited_s", report.waited_seconds}};
  if (!report.failure.ok()) {
    ++failed_checkpoints_;
    progress_->Say("checkpoint " + report.name + " FAILED, " + if_failed + ": " +
                   report.failure.ToString());
    fields.emplace_back("error", report.failure.ToString());
  } else {
    progress_->Say(Format("checkpoint %s%s%s  %s in %.1f s", report.name.c_str(),
                          report.full ? "" : " (delta)", report.best ? " (best)" : "",
                          BytesText(report.bytes).c_str(), report.seconds));
  }
  if (report.waited_seconds > 0) {
    progress_->Say(
        Format("note: steps waited %.1f s, over all ranks, for checkpoint.snapshot_mb; raise it, "
               "or use a faster disk",
               report.waited_seconds));
  }
  if (!report.cleanup.ok()) {
    progress_->Say("note: older checkpoints stay: " + report.cleanup.ToString());
  }
  fields.emplace_back("failed_so_far", failed_checkpoints_);
  progress_->Log("checkpoint", fields);
}

Status Job::ShareOutcome() {
  int64_t facts[4] = {0, 0, 0, 0};
  if (leads()) {
    facts[0] = cursor_.step();
    facts[1] = stopped_ ? 1 : 0;
    facts[2] = finished_ ? 1 : 0;
    facts[3] = counted_ ? 1 : 0;
  }
  TRESTLE_RETURN_IF_ERROR(comm_.AllReduceSum({Stream::kControl, "the outcome"}, facts));
  cursor_.set_step(facts[0]);
  stopped_ = facts[1] != 0;
  finished_ = facts[2] != 0;
  counted_ = facts[3] != 0;
  return {};
}

Result<CheckpointReport> Job::LastCheckpoint() {
  const bool nothing_new = resumed_ && resumed_->finished() == finished_ &&
                           resumed_->cursor().step() == cursor_.step() && !counted_;
  if (nothing_new) {
    progress_->Say(stopped_
                       ? "no step was trained after " + resumed_->name()
                       : "nothing to do: " + resumed_->name() + " is where this training ends");
    CheckpointReport report;
    report.name = resumed_->name();
    report.step = cursor_.step();
    report.digest = resumed_->digest();
    return report;
  }
  TRESTLE_ASSIGN_OR_RETURN(const auto in_flight, checkpoints_->Drain());
  if (in_flight) Tell(*in_flight, "the one at the end is still to be written");
  TRESTLE_ASSIGN_OR_RETURN(CheckpointReport report, checkpoints_->Finish(cursor_, finished_));
  if (report.bytes > 0 || !report.failure.ok()) {
    Tell(report, "what was trained since the one before is not saved");
  }
  return report;
}

Status Job::Finish() {
  TRESTLE_ASSIGN_OR_RETURN(const CheckpointReport report, LastCheckpoint());
  TRESTLE_RETURN_IF_ERROR(report.failure.Wrap("the model could not be saved"));
  progress_->Say(
      Format("model  %s/%s (step %ld)", checkpoints().c_str(), report.name.c_str(), report.step));
  progress_->Say("digest " + report.digest);
  Status written;
  if (leads()) {
    RunLog::Fields summary = {{"digest", report.digest},
                              {"step", report.step},
                              {"complete", finished_},
                              {"checkpoint", report.name}};
    summary.insert(summary.end(), last_metrics_.begin(), last_metrics_.end());
    TellBest(report, &summary);
    progress_->Log("end", summary);
    written = WriteFileAtomically(fs_, folder() + "/summary.json", RunLog::ToJson(summary) + "\n");
  }
  return AgreeOnStatus(comm_, kSetUp, written);
}

Result<std::string> Job::FindModel(const std::string& checkpoint, const std::string& purpose) {
  // A run that goes on meanwhile writes new ones, so one rank looks for all.
  std::string path;
  Status looked;
  if (comm_.rank() == Rank{0}) {
    const auto found = FindCheckpoint(fs_, CheckpointArgument(checkpoint, checkpoints()));
    looked = found.status();
    if (found.ok()) path = *found;
  }
  TRESTLE_RETURN_IF_ERROR(
      AgreeOnStatus(comm_, kSetUp,
                    looked.Wrap("no checkpoint to " + purpose + " (`trestle train` writes them)")));
  TRESTLE_ASSIGN_OR_RETURN(const auto paths, comm_.AllGather(kSetUp, path));
  return paths.front();
}

Status Job::TellImportance(Trainer& trainer) {
  TRESTLE_ASSIGN_OR_RETURN(const auto measured, trainer.MeasureImportance(*test_, "importance"));
  if (!measured) {
    stopped_ = true;
    return {};
  }
  const Importance& importance = *measured;
  size_t width = 7;
  for (const FeatureImportance& one : importance.features) {
    width = std::max(width, one.feature.size());
  }
  const auto line = [&](const std::string& feature, const std::string& lost,
                        const std::string& auc) {
    progress_->Say(feature + std::string(width + 2 - feature.size(), ' ') + lost + "  " + auc);
  };
  const std::string within =
      importance.auc_error > 0 ? Format(", each within %.2g", importance.auc_error) : "";
  line("feature", "auc lost", Format("of %.4f, when permuted", importance.auc) + within);
  for (const FeatureImportance& one : importance.features) {
    line(one.feature, Format("%8.4f", one.lost), Format("%.4f", one.auc));
    progress_->Log("importance", {{"step", trainer.step()},
                                  {"set", std::string("test")},
                                  {"feature", one.feature},
                                  {"auc", one.auc},
                                  {"auc_error", importance.auc_error},
                                  {"auc_lost", one.lost}});
  }
  return {};
}

Status Job::Evaluate(const std::string& checkpoint, bool importance) {
  Status possible;
  if (!HasSets() || (importance && !HasTest())) {
    possible = {StatusCode::kInvalidConfig,
                loaded_.path + (importance ? ": data.test names no files to evaluate, nor is there "
                                             "a data.holdout"
                                           : ": there is nothing to evaluate; name files in "
                                             "data.test or eval.set, or set data.holdout")};
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, possible));
  TRESTLE_ASSIGN_OR_RETURN(const std::string path, FindModel(checkpoint, "evaluate"));
  TRESTLE_RETURN_IF_ERROR(SetUp("eval"));
  TRESTLE_RETURN_IF_ERROR(BuildParts());
  Greet("eval");
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kLoading, LoadModel(path)));
  StopAtStepBoundaries();
  if (worker_ < 0) {
    TRESTLE_RETURN_IF_ERROR(node_->Serve());
  } else {
    Trainer trainer = MakeTrainer();
    TRESTLE_RETURN_IF_ERROR(EvaluateSets(trainer));
    if (importance && !stopped_) TRESTLE_RETURN_IF_ERROR(TellImportance(trainer));
    TRESTLE_RETURN_IF_ERROR(trainer.Stop());
  }
  return AgreeOnStop("stopped on request");
}

}  // namespace trestle
