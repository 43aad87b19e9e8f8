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

// Where the checkpoint's evaluations were of another metric or of other files, they begin anew.
void Job::ResumeEvaluations() {
  const Eval& eval = loaded_.config.eval();
  if (const auto sets = Sets(); !sets.empty()) {
    const std::string metric = MonitoredName(eval.monitor(), sets.front().name);
    const uint64_t files = sets.front().data->Fingerprint();
    const bool same = evaluations_.metric() == metric && evaluations_.files() == files;
    if (evaluations_.step() > 0 && !same) {
      progress_->Say("note: the best evaluation is sought anew: it was by " +
                     evaluations_.metric() + ", and is by " + metric +
                     (evaluations_.metric() == metric ? " of other files" : ""));
    }
    if (!same) evaluations_.Clear();
    evaluations_.set_metric(metric);
    evaluations_.set_files(files);
  }
  stopping_ = EarlyStopping(eval.monitor() != Eval::LOG_LOSS, loaded_.config.train().patience(),
                            {evaluations_.step(), evaluations_.best_step(),
                             evaluations_.best_value(), evaluations_.since_best()});
}

Status Job::EvaluateSets(Trainer& trainer) {
  bool first = true;
  for (const NamedSet& set : Sets()) {
    TRESTLE_ASSIGN_OR_RETURN(const Evaluation evaluation, trainer.Evaluate(*set.data, set.name));
    if (evaluation.pass.stopped) {
      stopped_ = true;
      return {};
    }
    if (first) {
      monitored_ = MonitoredValue(loaded_.config.eval().monitor(), evaluation.metrics);
      last_metrics_.clear();
    }
    TellEvaluation(set.name, trainer.step(), evaluation);
    for (auto& [name, value] : MetricFields(evaluation)) {
      last_metrics_.emplace_back(first ? name : set.name + "." + name, std::move(value));
    }
    first = false;
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
  TRESTLE_RETURN_IF_ERROR(trainer.BeginCheckpoint());
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
                                     : ": " + best.checkpoint() + ", digest " + best.digest();
    summary->insert(summary->end(),
                    {{"best_checkpoint", best.checkpoint()}, {"best_digest", best.digest()}});
  }
  progress_->Say("best   " + BestText(best) + kept + "; the last is " + last.name + ", digest " +
                 last.digest);
}

}  // namespace trestle
