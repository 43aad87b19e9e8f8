// Evaluations within a training: of all sets, and what follows from them: whether training ends,
// and which checkpoint is the best one's.
#include <glog/logging.h>

#include "launcher/evaluation.h"
#include "launcher/format.h"
#include "launcher/job.h"

namespace trestle {

std::vector<Job::NamedSet> Job::Sets() const {
  std::vector<NamedSet> sets;
  if (test_) sets.push_back({"test", test_.get()});
  for (size_t i = 0; i < more_tests_.size(); ++i) {
    sets.push_back({loaded_.config.eval().set(static_cast<int>(i)).name(), more_tests_[i].get()});
  }
  return sets;
}

bool Job::HasTest() const {
  const Data& data = loaded_.config.data();
  return data.test_size() > 0 || data.holdout() > 0;
}

bool Job::HasSets() const { return HasTest() || loaded_.config.eval().set_size() > 0; }

// What evaluations are judged by; workers'.
EvaluationRecord Job::NewRecord() const {
  EvaluationRecord record;
  const auto sets = Sets();
  if (sets.empty()) return record;
  record.set_metric(MonitoredName(loaded_.config.eval().monitor(), sets.front().name));
  record.set_files(sets.front().data->Fingerprint());
  return record;
}

// Where the checkpoint's evaluations were of another metric or of other files, they begin anew:
// with the first that counts, for a run that is done already does not forget its best one.
void Job::ResumeEvaluations() {
  const EvaluationRecord record = NewRecord();
  const bool same =
      record.metric() == evaluations_.metric() && record.files() == evaluations_.files();
  if (worker_ >= 0 && HasSets() && evaluations_.step() > 0 && !same) {
    progress_->Say("note: the best evaluation is sought anew: it was by " + evaluations_.metric() +
                   ", and is by " + record.metric() +
                   (evaluations_.metric() == record.metric() ? " of other files" : ""));
  }
  const EvaluationRecord& from = same ? evaluations_ : record;
  stopping_ = EarlyStopping(loaded_.config.eval().monitor() != Eval::LOG_LOSS,
                            loaded_.config.train().patience(),
                            {from.step(), from.best_step(), from.best_value(), from.since_best()});
}

// Told once all are done: after a stop the whole evaluation is done again.
Status Job::EvaluateSets(Trainer& trainer) {
  std::vector<std::pair<std::string, Evaluation>> done;
  for (const NamedSet& set : Sets()) {
    TRESTLE_ASSIGN_OR_RETURN(Evaluation evaluation, trainer.Evaluate(*set.data, set.name));
    if (evaluation.pass.stopped) {
      stopped_ = true;
      return {};
    }
    done.emplace_back(set.name, std::move(evaluation));
  }
  if (done.empty()) return {};
  monitored_ = MonitoredValue(loaded_.config.eval().monitor(), done.front().second.metrics);
  last_metrics_.clear();
  for (const auto& [set, evaluation] : done) {
    TellEvaluation(set, trainer.step(), evaluation);
    const std::string prefix = set == done.front().first ? "" : set + ".";
    for (auto& [name, value] : MetricFields(evaluation)) {
      last_metrics_.emplace_back(prefix + name, std::move(value));
    }
  }
  return {};
}

void Job::TellEvaluation(const std::string& set, int64_t step, const Evaluation& evaluation) {
  progress_->Say(MetricLine(set, evaluation));
  const RunLog::Fields where = {{"step", step}, {"set", set}};
  const auto log = [&](const std::string& event, const RunLog::Fields& what) {
    RunLog::Fields fields = where;
    fields.insert(fields.end(), what.begin(), what.end());
    progress_->Log(event, fields);
  };
  log("eval", MetricFields(evaluation));
  for (const SlicedColumn& column : evaluation.slices) {
    for (const std::string& line : SliceLines(set, column)) progress_->Say(line);
    log("slices", {{"column", column.column},
                   {"too_many", column.too_many},
                   {"slices", static_cast<int64_t>(column.slices.size())},
                   {"other_values", column.other_values},
                   {"other_rows", column.other_rows}});
    for (const Slice& slice : column.slices) {
      RunLog::Fields fields = {{"column", column.column}};
      const RunLog::Fields metrics = SliceFields(slice);
      fields.insert(fields.end(), metrics.begin(), metrics.end());
      log("slice", fields);
    }
  }
}

// Nothing where this step was evaluated before the start.
Status Job::EvaluateTraining(Trainer& trainer, bool counts) {
  if (Sets().empty() || stopping_->state().step == trainer.step()) return {};
  const Clock::Duration start = clock_.Now();
  TRESTLE_RETURN_IF_ERROR(EvaluateSets(trainer));
  evaluating_ += clock_.Now() - start;
  if (stopped_ || !counts) return {};
  const bool better = stopping_->Add(trainer.step(), monitored_);
  counted_ = true;
  evaluations_ = NewRecord();
  const EarlyStopping::State& state = stopping_->state();
  evaluations_.set_step(state.step);
  evaluations_.set_best_step(state.best_step);
  evaluations_.set_best_value(state.best_value);
  evaluations_.set_since_best(state.since_best);
  if (leads()) checkpoints_->SetEvaluations(evaluations_);
  if (stopping_->exhausted()) {
    ended_ = true;
    progress_->Say("train.patience is over: the best is " + BestText(evaluations_));
  }
  if (!better || !loaded_.config.train().keep_best()) return {};
  TRESTLE_RETURN_IF_ERROR(trainer.AnnounceCheckpoint());
  return KeepBest();
}

// Dedicated servers too.
Status Job::KeepBest() {
  TRESTLE_ASSIGN_OR_RETURN(const auto report, checkpoints_->KeepBest(cursor_));
  if (report) Tell(*report, "training goes on");
  return {};
}

// The leader's: what the run's last line says of the best evaluation, if that was asked for.
void Job::TellBest(const CheckpointReport& last, RunLog::Fields* summary) {
  const auto& train = loaded_.config.train();
  const EvaluationRecord& best = checkpoints_->evaluations();
  if (best.best_step() == 0 || !(train.keep_best() || train.has_patience())) return;
  summary->insert(summary->end(), {{"best_step", best.best_step()},
                                   {"best_metric", best.metric()},
                                   {"best_value", best.best_value()}});
  std::string kept = ", not kept (train.keep_best)";
  if (train.keep_best()) {
    kept = best.checkpoint().empty() ? ", not saved here"
                                     : BestSavedText(best) + ", digest " + best.digest();
    summary->insert(summary->end(),
                    {{"best_checkpoint", best.checkpoint()}, {"best_digest", best.digest()}});
  }
  progress_->Say("best   " + BestText(best) + kept + "; the last is " + last.name + ", digest " +
                 last.digest);
}

}  // namespace trestle
