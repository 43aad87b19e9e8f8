// `trestle predict`: the input's rows, whatever its format, through the evaluation's pass to a
// file.
#include <algorithm>

#include "base/hash.h"
#include "launcher/format.h"
#include "launcher/job.h"
#include "launcher/job_operations.h"
#include "launcher/signals.h"
#include "launcher/startup.h"
#include "worker/import/unit.h"
#include "worker/predict.h"
#include "worker/reject_file.h"

namespace trestle {
namespace {

constexpr Operation kWriting{Stream::kControl, "writing predictions", -1, kLongPhase};

// Under which an import keeps what goes along, beside any feature of the same name.
std::string StoredAs(const std::string& column) { return "trestle.as-is." + column; }
constexpr char kBid[] = "trestle.bid";
constexpr char kRequest[] = "trestle.request";

ImportColumn Import(const std::string& column, CellKind kind, const std::string& stored_as) {
  ImportColumn import;
  import.set_name(column);
  import.set_kind(kind);
  import.set_stored_as(stored_as);
  return import;
}

std::vector<std::string> ColumnsOf(const PredictRequest& request) {
  return request.columns.empty() ? std::vector<std::string>{kRowNumber} : request.columns;
}

PrepareOptions ImportOptions(const PredictRequest& request) {
  PrepareOptions options;
  options.train = false;
  options.keep_refused = true;
  for (const std::string& column : ColumnsOf(request)) {
    if (column != kRowNumber) *options.more.Add() = Import(column, STRING_ID, StoredAs(column));
  }
  // In cells of their own: the same column may go along as text.
  if (!request.bid.empty()) *options.more.Add() = Import(request.bid, NUMBER, kBid);
  if (!request.request.empty()) {
    *options.more.Add() = Import(request.request, STRING_ID, kRequest);
  }
  return options;
}

// The config's, for files that need no label and whose order counts.
Data InputOf(Data data, const PredictRequest& request) {
  data.clear_train();
  data.clear_holdout();
  data.clear_label();
  data.clear_positive_from();
  data.clear_group();
  data.set_order(TIME);
  data.mutable_test()->Assign(request.input.begin(), request.input.end());
  return data;
}

Schema WithoutOutcome(Schema schema) {
  schema.label.clear();
  schema.positive_from.reset();
  schema.group.clear();
  schema.weight.clear();
  schema.positive_weight = 1;
  schema.slices.clear();
  return schema;
}

PredictionFileOptions OutputOf(const PredictRequest& request, bool imported) {
  PredictionFileOptions options;
  options.path = request.output;
  options.imported = imported;
  for (const std::string& column : ColumnsOf(request)) {
    const std::string stored = imported ? StoredAs(column) : column;
    options.columns.push_back({column, column == kRowNumber ? "" : stored});
  }
  options.bid = imported && !request.bid.empty() ? kBid : request.bid;
  options.request = imported && !request.request.empty() ? kRequest : request.request;
  return options;
}

// Ranks of one job have one command line.
std::string Fact(const PredictRequest& request) {
  std::string text;
  const auto add = [&](const std::string& part) { text += part + '\0'; };
  for (const std::string* one : {&request.output, &request.bid, &request.request}) add(*one);
  add(std::to_string(request.input.size()));
  for (const std::string& file : request.input) add(file);
  for (const std::string& column : request.columns) add(column);
  text += request.attention ? 'a' : '-';
  text += request.embeddings ? 'e' : '-';
  return Hex(Hash64(text));
}

}  // namespace

// What of the model's outputs goes into the file.
ModelOutputSpec Job::Shown(const PredictRequest& request) const {
  ModelOutputSpec shown = backend_->outputs();
  if (!request.attention) shown.attention.clear();
  if (!request.embeddings) shown.embeddings.clear();
  return shown;
}

Status Job::CheckShown(const PredictRequest& request) const {
  if (!leads() || !request.attention || !Shown(request).attention.empty()) return {};
  return {StatusCode::kInvalidConfig,
          "--attention: " + loaded_.Place("model") + ": this model weighs no history"};
}

// The leader's, once it knows that there is something to import. `untold`: columns of which nothing
// tells how training read them.
Result<std::string> Job::MakeTemporaryCache(const PredictRequest& request,
                                            const std::vector<std::string>& untold) {
  for (const std::string& column : untold) {
    progress_->Say("note: \"" + column +
                   "\" is read as integers or as text, as the first rows are: neither data.cache "
                   "nor data.train tells how training read it; `type` in the feature does");
  }
  const bool typed = request.output.ends_with(".parquet");
  if (typed && !request.columns.empty() &&
      request.columns != std::vector<std::string>{kRowNumber}) {
    progress_->Say("note: the input is imported, so what --columns names goes along as text");
  }
  TRESTLE_ASSIGN_OR_RETURN(temporary_, TemporaryCache::Make(fs_, loaded_.config.data().cache()));
  return temporary_->path();
}

Status Job::OpenPredictionInput(const PredictRequest& request) {
  const Data data = InputOf(loaded_.config.data(), request);
  Schema schema = WithoutOutcome(plan_.schema);
  std::vector<std::string> untold;
  if (leads()) schema = WithTrainedTypes(schema, loaded_.config.data(), fs_, &untold);
  PrepareOptions options = ImportOptions(request);
  options.make_cache = [&] { return MakeTemporaryCache(request, untold); };
  TRESTLE_RETURN_IF_ERROR(PrepareFiles(schema, data, std::move(options)));
  if (imported_) schema.refused = kRefused;
  Status opened;
  if (files_.test.empty()) {
    opened = {StatusCode::kInvalidData, "--input " + request.input.front() + ": has no rows"};
  } else if (worker_ >= 0) {
    DatasetOptions dataset{files_.test, plan_.TableSeeds()};
    dataset.check_types = leads() && !imported_;  // an import has made them what training read
    auto input = OpenDataset(schema, dataset);
    opened = input.status();
    if (input.ok()) test_ = *std::move(input);
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kReading, opened));
  return AgreeOnFacts(comm_, {{"the input's files", test_ ? Hex(test_->Fingerprint()) : ""}});
}

Status Job::OpenOutput(const PredictRequest& request) {
  if (!leads()) return {};
  TRESTLE_RETURN_IF_ERROR(RemovePredictionRejects(fs_, RejectStem(request)));
  const ModelOutputSpec shown = Shown(request);
  PredictionFileOptions options = OutputOf(request, imported_);
  for (const int group : shown.attention) {
    const auto slot = std::ranges::find(plan_.schema.slots, group, &Slot::sequence_group);
    options.attention.push_back(slot->column);
  }
  options.embeddings = shown.embeddings;
  TRESTLE_ASSIGN_OR_RETURN(output_, CreatePredictionFile(fs_, test_->files(), options));
  return {};
}

// Beside the output; nobody can append to a file in an object store.
std::string Job::RejectStem(const PredictRequest& request) const {
  return fs_.AppearsWhole(request.output) ? folder() + "/predict" : request.output;
}

Status Job::RunPrediction(const PredictRequest& request) {
  if (worker_ < 0) return node_->Serve();
  Trainer trainer = MakeTrainer(PredictionRejectPath(RejectStem(request), comm_.rank()));
  Predictor predictor(comm_, test_->schema(), Shown(request), leader_,
                      [this](const PredictedRows& rows) { return output_->Append(rows); });
  TRESTLE_ASSIGN_OR_RETURN(last_pass_, trainer.Visit(*test_, "predict", TIME, predictor));
  stopped_ = last_pass_.stopped;
  return trainer.Stop();
}

Status Job::Predict(const PredictRequest& request) {
  TRESTLE_ASSIGN_OR_RETURN(const std::string path, FindModel(request.checkpoint, "predict with"));
  TRESTLE_RETURN_IF_ERROR(AgreeOnFacts(comm_, {{"the command line", Fact(request)}}));
  TRESTLE_RETURN_IF_ERROR(Check());
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(
      comm_, kReading,
      leads() ? CheckPredictionPath(fs_, request.output, request.force, request.input) : Status()));
  TRESTLE_RETURN_IF_ERROR(OpenRunFolder("predict"));
  TRESTLE_RETURN_IF_ERROR(BuildParts());
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, CheckShown(request)));
  TRESTLE_RETURN_IF_ERROR(OpenPredictionInput(request));
  Greet("predict");
  // It opens the columns that go along: what is wrong with them is said before the model is loaded.
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kReading, OpenOutput(request)));
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kLoading, LoadModel(path)));
  StopAtStepBoundaries();
  TRESTLE_RETURN_IF_ERROR(RunPrediction(request));
  TRESTLE_RETURN_IF_ERROR(AgreeOnStop("stopped on request; no predictions were written"));
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kWriting, leads() ? output_->Commit() : Status()));
  if (leads()) TellPrediction(path, request);
  return {};
}

void Job::TellPrediction(const std::string& checkpoint, const PredictRequest& request) {
  const int64_t rejected = last_pass_.ledger.rejected;
  progress_->Say(Format("predictions  %ld rows, mean %.6f, %.1f %% of ids unseen  ",
                        output_->rows(), output_->mean_prediction(),
                        100 * last_pass_.unseen_share()) +
                 request.output);
  if (rejected > 0) {
    progress_->Say(Format("note: %ld rows were rejected and have none; ", rejected) +
                   RejectStem(request) + ".rejected-rank-*.tsv list them");
  }
  progress_->Log("predict", {{"checkpoint", checkpoint},
                             {"output", request.output},
                             {"rows", output_->rows()},
                             {"rows_rejected", rejected},
                             {"mean_prediction", output_->mean_prediction()},
                             {"unseen_share", last_pass_.unseen_share()}});
}

}  // namespace trestle
