// `trestle predict`: the input's rows, whatever its format, through the evaluation's pass to a
// file.
#include <algorithm>

#include "base/hash.h"
#include "launcher/format.h"
#include "launcher/job.h"
#include "launcher/signals.h"
#include "launcher/startup.h"
#include "worker/import/unit.h"
#include "worker/predict.h"
#include "worker/reject_file.h"

namespace trestle {
namespace {

constexpr Operation kSetUp{Stream::kControl, "setting up"};
constexpr Operation kReading{Stream::kControl, "reading input", -1, kLongPhase};
constexpr Operation kLoading{Stream::kControl, "loading the checkpoint", -1, kLongPhase};
constexpr Operation kWriting{Stream::kControl, "writing predictions", -1, kLongPhase};

// Under which an import keeps a column that goes along, beside any feature of the same name.
std::string StoredAs(const std::string& column) { return "trestle.as-is." + column; }

ImportColumn AsIs(const std::string& column, CellKind kind) {
  ImportColumn import;
  import.set_name(column);
  import.set_stored_as(StoredAs(column));
  import.set_kind(kind);
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
    if (column != kRowNumber) *options.more.Add() = AsIs(column, ANY_ID);
  }
  // In cells of their own: the same column may go along as text.
  if (!request.bid.empty()) {
    *options.more.Add() = AsIs(request.bid, NUMBER);
    options.more.rbegin()->set_stored_as("trestle.bid");
  }
  if (!request.request.empty()) {
    *options.more.Add() = AsIs(request.request, ANY_ID);
    options.more.rbegin()->set_stored_as("trestle.request");
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
  options.bid = imported && !request.bid.empty() ? "trestle.bid" : request.bid;
  options.request = imported && !request.request.empty() ? "trestle.request" : request.request;
  return options;
}

// Ranks of one job have one command line.
std::string Fact(const PredictRequest& request) {
  std::string text = request.output + '\n' + request.bid + '\n' + request.request + '\n';
  for (const std::string& file : request.input) text += file + '\n';
  for (const std::string& column : request.columns) text += column + '\n';
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

// The leader makes room for an import, and finds out how training read the ids.
Status Job::PrepareImport(Schema* schema, Data* data) {
  std::vector<std::string> unknown;
  *schema = WithTrainedTypes(*schema, loaded_.config.data(), fs_, &unknown);
  for (const std::string& column : unknown) {
    progress_->Say("note: \"" + column +
                   "\" is read as integers or as text, as the first rows are: neither data.cache "
                   "nor data.train tells how training read it; `type` in the feature does");
  }
  TRESTLE_ASSIGN_OR_RETURN(temporary_, TemporaryCache::Make(fs_, data->cache()));
  data->set_cache(temporary_->path());
  return {};
}

Status Job::OpenPredictionInput(const PredictRequest& request) {
  Data data = InputOf(loaded_.config.data(), request);
  Schema schema = WithoutOutcome(plan_.schema);
  PrepareOptions options = ImportOptions(request);
  const bool import = leads() && WouldImport(schema, data, options);
  TRESTLE_RETURN_IF_ERROR(
      AgreeOnStatus(comm_, kSetUp, import ? PrepareImport(&schema, &data) : Status()));
  TRESTLE_RETURN_IF_ERROR(PrepareFiles(schema, data, std::move(options)));
  if (imported_) schema.refused = kRefused;
  Status opened;
  if (files_.test.empty()) {
    opened = {StatusCode::kInvalidData, "--input " + request.input.front() + ": has no rows"};
  } else if (worker_ >= 0) {
    auto input = OpenDataset(schema, {files_.test, plan_.TableSeeds()});
    opened = input.status();
    if (input.ok()) test_ = *std::move(input);
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kReading, opened));
  return AgreeOnFacts(comm_, {{"the input's files", test_ ? Hex(test_->Fingerprint()) : ""}});
}

Status Job::OpenOutput(const PredictRequest& request) {
  if (!leads()) return {};
  const ModelOutputSpec shown = Shown(request);
  if (request.attention && shown.attention.empty()) {
    return {StatusCode::kInvalidConfig,
            "--attention: " + loaded_.Place("model") + ": this model weighs no history"};
  }
  PredictionFileOptions options = OutputOf(request, imported_);
  for (const int group : shown.attention) {
    const auto slot = std::ranges::find(plan_.schema.slots, group, &Slot::sequence_group);
    options.attention.push_back(slot->column);
  }
  options.embeddings = shown.embeddings;
  TRESTLE_ASSIGN_OR_RETURN(output_, CreatePredictionFile(fs_, test_->files(), options));
  return {};
}

Status Job::RunPrediction(const PredictRequest& request) {
  if (worker_ < 0) return node_->Serve();
  Trainer trainer = MakeTrainer();
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
  TRESTLE_RETURN_IF_ERROR(
      AgreeOnStatus(comm_, kReading,
                    leads() ? CheckPredictionPath(fs_, request.output, request.force, request.input)
                            : Status()));
  TRESTLE_RETURN_IF_ERROR(OpenRunFolder("predict"));
  TRESTLE_RETURN_IF_ERROR(OpenPredictionInput(request));
  TRESTLE_RETURN_IF_ERROR(BuildParts());
  Greet("predict");
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kLoading, LoadModel(path)));
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, OpenOutput(request)));
  StopAtStepBoundaries();
  TRESTLE_RETURN_IF_ERROR(RunPrediction(request));
  TRESTLE_RETURN_IF_ERROR(AgreeOnStop("stopped on request; no predictions were written"));
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kWriting, leads() ? output_->Commit() : Status()));
  if (leads()) TellPrediction(path, request.output);
  return {};
}

void Job::TellPrediction(const std::string& checkpoint, const std::string& output) {
  const int64_t rejected = last_pass_.ledger.rejected;
  progress_->Say(
      Format("predictions  %ld rows, mean %.6f  ", output_->rows(), output_->mean_prediction()) +
      output);
  if (rejected > 0) {
    progress_->Say(Format("note: %ld rows were rejected and have none; ", rejected) + folder() +
                   "/rejected-rank-*.tsv list them");
  }
  progress_->Log("predict", {{"checkpoint", checkpoint},
                             {"output", output},
                             {"rows", output_->rows()},
                             {"rows_rejected", rejected},
                             {"mean_prediction", output_->mean_prediction()}});
}

}  // namespace trestle
