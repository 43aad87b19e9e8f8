#include "launcher/job.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/hash.h"
#include "launcher/logging.h"
#include "launcher/signals.h"
#include "launcher/startup.h"
#include "launcher/terminal.h"
#include "launcher/version.h"
#include "worker/reject_file.h"

namespace trestle {
namespace {

constexpr Operation kSetUp{Stream::kControl, "setting up"};
// Reading the input may take one rank much longer than another.
constexpr Operation kReading{Stream::kControl, "reading input", -1, kLongPhase};
constexpr Operation kStatistics{Stream::kDense, "statistics of numeric columns", -1, kLongPhase};

template <class... Args>
std::string Format(const char* format, Args... args) {
  char text[512];
  std::snprintf(text, sizeof(text), format, args...);
  return text;
}

std::string Hex(uint64_t value) { return Format("%016lx", value); }

bool NeedsStatistics(const Schema& schema) {
  return std::any_of(schema.numeric.begin(), schema.numeric.end(), [](const NumericColumn& column) {
    return column.scaling != NumericFeature::NONE;
  });
}

RunLog::Fields LedgerFields(const PassResult& pass) {
  return {{"steps", pass.steps},
          {"skipped_steps", pass.skipped_steps},
          {"rows_read", pass.ledger.read},
          {"rows_rejected", pass.ledger.rejected},
          {"ledger", Hex(pass.ledger.hash)}};
}

RunLog::Fields MetricFields(const Evaluation& evaluation) {
  const Metrics& m = evaluation.metrics;
  RunLog::Fields fields = {{"rows", m.rows}, {"auc", m.auc}};
  if (m.gauc) fields.emplace_back("gauc", *m.gauc);
  fields.insert(fields.end(), {{"log_loss", m.log_loss},
                               {"normalized_entropy", m.normalized_entropy},
                               {"pcoc", m.pcoc},
                               {"unseen_share", evaluation.unseen_share}});
  return fields;
}

std::string MetricLine(const std::string& name, const Evaluation& evaluation) {
  const Metrics& m = evaluation.metrics;
  std::string line = Format("%s  auc %.4f", name.c_str(), m.auc);
  if (m.gauc) line += Format("  gauc %.4f", *m.gauc);
  return line + Format(
                    "  log loss %.4f  normalized entropy %.4f  predicted/observed %.4f"
                    "  (%ld rows, %.1f %% of ids unseen)",
                    m.log_loss, m.normalized_entropy, m.pcoc, m.rows,
                    100 * evaluation.unseen_share);
}

}  // namespace

Job::Job(Communicator& comm, const LoadedConfig& loaded, FileSystem& fs, const Clock& clock)
    : comm_(comm), loaded_(loaded), fs_(fs), clock_(clock) {}

Status Job::SetUp(const std::string& command) {
  TRESTLE_RETURN_IF_ERROR(Check());
  TRESTLE_RETURN_IF_ERROR(OpenInput(command));
  TRESTLE_RETURN_IF_ERROR(OpenRunFolder(command));
  TRESTLE_RETURN_IF_ERROR(BuildParts());
  Greet(command);
  return {};
}

Status Job::Check() {
  TRESTLE_RETURN_IF_ERROR(AgreeOnFacts(
      comm_, {{"the config", Hex(ConfigHash(loaded_.config))}, {"the program", BuildFacts()}}));
  auto plan = MakeJobPlan(loaded_);
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, plan.status()));
  plan_ = *std::move(plan);
  TRESTLE_ASSIGN_OR_RETURN(instruction_set_, AgreeOnInstructionSet(comm_));

  Status device;
  if (loaded_.config.cluster().device() == GPU) {
    device = {StatusCode::kUnsupported,
              loaded_.Place("cluster.device") + ": this build has no GPU plugin; use AUTO or CPU"};
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, device));

  TRESTLE_ASSIGN_OR_RETURN(const auto hosts, GatherHosts(comm_));
  TRESTLE_ASSIGN_OR_RETURN(const auto cores, GatherCores(comm_));
  auto roles = AssignRoles(loaded_.config.cluster().servers(), hosts);
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, WithPlaces(loaded_, roles.status())));
  roles_ = *std::move(roles);
  leader_ = roles_.workers.front();
  const auto me = std::find(roles_.workers.begin(), roles_.workers.end(), comm_.rank());
  worker_ = me == roles_.workers.end() ? -1 : static_cast<int>(me - roles_.workers.begin());
  threads_ = loaded_.config.cluster().has_threads() ? loaded_.config.cluster().threads()
                                                    : DefaultThreads(hosts, cores, comm_.rank());
  pool_ = std::make_unique<ThreadPool>(threads_);
  return {};
}

// `eval` reads no training files: the statistics of numeric columns are the model's.
Status Job::OpenInput(const std::string& command) {
  Status opened;
  if (worker_ >= 0) {
    const auto open = [&](const auto& patterns) {
      return OpenDataset(plan_.schema, {{patterns.begin(), patterns.end()}, plan_.TableSeeds()});
    };
    const Data& data = loaded_.config.data();
    if (command == "train") {
      auto train = open(data.train());
      opened = train.status();
      if (train.ok()) train_ = *std::move(train);
    }
    if (opened.ok() && data.test_size() > 0) {
      auto test = open(data.test());
      opened = test.status();
      if (test.ok()) test_ = *std::move(test);
    }
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kReading, opened));
  return AgreeOnFacts(comm_, {{"data.train's files", train_ ? Hex(train_->Fingerprint()) : ""},
                              {"data.test's files", test_ ? Hex(test_->Fingerprint()) : ""}});
}

// Every worker reads a share of the blocks; partial statistics are merged in the order of blocks.
Status Job::ShareStatistics() {
  statistics_.assign(plan_.schema.numeric.size(), NumericStatistics());
  if (!NeedsStatistics(plan_.schema)) return {};
  std::vector<std::vector<NumericStatistics>> mine;
  Status read;
  if (worker_ >= 0) {
    const auto workers = static_cast<int64_t>(roles_.workers.size());
    auto blocks = train_->BlockStatistics(train_->blocks() * worker_ / workers,
                                          train_->blocks() * (worker_ + 1) / workers);
    read = blocks.status();
    if (blocks.ok()) mine = *std::move(blocks);
  }
  // Dedicated servers too: they would wait for the first step of workers that have left.
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kReading, read));
  if (worker_ < 0) return {};
  std::string bytes;
  for (const auto& block : mine) {
    bytes.append(reinterpret_cast<const char*>(block.data()),
                 block.size() * sizeof(NumericStatistics));
  }
  TRESTLE_ASSIGN_OR_RETURN(const auto all, comm_.AllGather(kStatistics, bytes));
  for (const std::string& part : all) {
    for (size_t at = 0; at < part.size(); at += statistics_.size() * sizeof(NumericStatistics)) {
      for (size_t c = 0; c < statistics_.size(); ++c) {
        NumericStatistics block;
        std::memcpy(&block, part.data() + at + c * sizeof(block), sizeof(block));
        statistics_[c] = MergeStatistics(statistics_[c], block);
      }
    }
  }
  return {};
}

Status Job::TakeRunFolder(const std::string& command) {
  TRESTLE_RETURN_IF_ERROR(fs_.MakeDirectories(folder()));
  if (!leads() || command != "train") return {};
  TRESTLE_ASSIGN_OR_RETURN(lock_, RunLock::Take(folder()));
  return {};
}

Status Job::OpenRunFolder(const std::string& command) {
  // All ranks wait for the leader's lock: what is in the folder may be another run's.
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, TakeRunFolder(command)));
  Status opened = LogToFolder(fs_, folder(), comm_.rank());
  if (opened.ok() && leads() && command == "train") {
    opened = WriteFileAtomically(fs_, folder() + "/config.textproto", Canonical(loaded_.config));
  }
  if (opened.ok()) opened = RemoveRejectFiles(fs_, folder());
  auto log = RunLog::Open(fs_, leads() && opened.ok() ? folder() + "/metrics.jsonl" : "", clock_);
  if (opened.ok()) opened = log.status();
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, opened));
  log_ = *std::move(log);
  Progress::Options options;
  options.out = leads() ? stdout : nullptr;
  options.live = PrintsToTerminal();
  options.interval_s = loaded_.config.train().log_every_s();
  progress_ = std::make_unique<Progress>(options, clock_, *log_);
  progress_->Log("start", {{"command", command},
                           {"ranks", int64_t{comm_.size()}},
                           {"config", Hex(ConfigHash(loaded_.config))}});
  return {};
}

Status Job::BuildParts() {
  NodeOptions options;
  options.roles = roles_;
  options.tables = plan_.tables;
  options.slot_tables = plan_.slot_tables;
  options.unit = plan_.unit;
  options.fail_bad_steps = loaded_.config.train().on_bad_step() == Train::STOP;
  auto node = MakeNode(comm_, std::move(options), pool_.get());
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, node.status()));
  node_ = *std::move(node);
  Status built;
  if (worker_ >= 0) {
    auto backend = MakeCpuBackend(plan_.Backend(loaded_.config, threads_));
    built = backend.status();
    if (backend.ok()) backend_ = *std::move(backend);
  }
  return AgreeOnStatus(comm_, kSetUp, built);
}

void Job::Greet(const std::string& command) {
  const auto workers = static_cast<int>(roles_.workers.size());
  const std::string servers =
      loaded_.config.cluster().servers() > 0
          ? Format("%d dedicated servers, %d workers", static_cast<int>(roles_.servers.size()),
                   workers)
          : Format("%d %s", comm_.size(), comm_.size() == 1 ? "rank" : "ranks");
  progress_->Say(Format("trestle %s %s: %s, %d %s each, %d lanes of %ld rows, %s", command.c_str(),
                        loaded_.path.c_str(), servers.c_str(), threads_,
                        threads_ == 1 ? "thread" : "threads", plan_.lanes, plan_.lane_rows,
                        instruction_set_.c_str()));
  if (workers * threads_ > plan_.lanes) {
    progress_->Say(Format("note: %d threads in all for %d lanes: %d will idle; raise batch.lanes",
                          workers * threads_, plan_.lanes, workers * threads_ - plan_.lanes));
  }
  if (!train_) return;
  int64_t largest = 0;
  for (const InputFile& file : train_->files()) {
    for (const int64_t rows : file.block_rows) largest = std::max(largest, rows);
  }
  const int64_t lanes = plan_.lanes / workers + (plan_.lanes % workers != 0);
  progress_->Say(Format(
      "train: %ld rows in %zu files; a rank holds up to %ld of %ld blocks, of at most %ld rows",
      train_->rows(), train_->files().size(), std::min(lanes, train_->blocks()), train_->blocks(),
      largest));
}

Trainer Job::MakeTrainer() {
  TrainerOptions options;
  options.worker = worker_;
  options.workers = static_cast<int>(roles_.workers.size());
  options.batch_rows = plan_.batch_rows;
  options.lanes = plan_.lanes;
  options.seed = plan_.seed;
  options.max_bad_rows = loaded_.config.data().max_bad_rows();
  options.order = loaded_.config.data().order();
  options.on_bad_step = loaded_.config.train().on_bad_step();
  options.statistics = statistics_;
  options.reject_path = RejectPath(folder(), comm_.rank());
  options.stop_requested = StopRequested;
  return {node_->client(), *backend_, comm_, *pool_, *progress_, fs_, std::move(options)};
}

Status Job::Train() {
  TRESTLE_RETURN_IF_ERROR(SetUp("train"));
  TRESTLE_RETURN_IF_ERROR(ShareStatistics());
  StopAtStepBoundaries();
  const Status status = RunRole();
  // Bad data and bad numbers are agreed on at a step boundary; after other failures ranks may be
  // gone.
  const bool in_step = status.ok() || status.code() == StatusCode::kInvalidData ||
                       status.code() == StatusCode::kNumeric;
  if (!in_step) return status;
  TRESTLE_RETURN_IF_ERROR(ShareOutcome());
  if (status.ok() || epochs_done_ > 0) TRESTLE_RETURN_IF_ERROR(Finish());
  TRESTLE_RETURN_IF_ERROR(status);
  return AgreeOnStop("stopped on request after step " + std::to_string(steps_) +
                     "; the model so far is in " + model_folder());
}

Status Job::RunRole() {
  if (worker_ < 0) return node_->Serve();
  Trainer trainer = MakeTrainer();
  const Status trained = TrainEpochs(trainer);
  steps_ = trainer.step();
  TRESTLE_RETURN_IF_ERROR(trained);
  return trainer.Stop();
}

// The leader says it, once for the job.
Status Job::AgreeOnStop(const std::string& what) {
  const bool stopped = leads() && stopped_;
  return AgreeOnStatus(comm_, kSetUp, stopped ? Status(StatusCode::kInterrupted, what) : Status());
}

Status Job::TrainEpochs(Trainer& trainer) {
  for (int64_t epoch = 0; epoch < loaded_.config.train().epochs() && !stopped_; ++epoch) {
    TRESTLE_RETURN_IF_ERROR(TrainEpoch(trainer, epoch));
    if (test_ && !stopped_) TRESTLE_RETURN_IF_ERROR(EvaluateTest(trainer));
  }
  return trainer.CompareReplicas();
}

Status Job::TrainEpoch(Trainer& trainer, int64_t epoch) {
  const Clock::Duration start = clock_.Now();
  const int64_t epochs = loaded_.config.train().epochs();
  TRESTLE_ASSIGN_OR_RETURN(const PassResult pass, trainer.TrainEpoch(*train_, epoch, epochs));
  stopped_ = pass.stopped;
  epochs_done_ += pass.stopped ? 0 : 1;
  const double seconds = Seconds(clock_.Now() - start);
  const std::string skipped =
      pass.skipped_steps ? Format(", %ld bad steps skipped", pass.skipped_steps) : "";
  progress_->Say(Format("epoch %ld/%ld  %ld steps in %s, %.0f rows/s, loss %.4f%s", epoch + 1,
                        epochs, pass.steps, FormatDuration(seconds).c_str(),
                        static_cast<double>(pass.rows) / seconds, pass.loss, skipped.c_str()));
  progress_->Say(Format("ledger  %ld rows read, %ld rejected, %ld expected, hash %s%s",
                        pass.ledger.read, pass.ledger.rejected, train_->rows(),
                        Hex(pass.ledger.hash).c_str(),
                        pass.stopped ? " (stopped early)" : ": closed"));
  RunLog::Fields fields = {{"epoch", epoch + 1}, {"seconds", seconds}, {"loss", pass.loss}};
  const RunLog::Fields ledger = LedgerFields(pass);
  fields.insert(fields.end(), ledger.begin(), ledger.end());
  progress_->Log("epoch", fields);
  return {};
}

Status Job::EvaluateTest(Trainer& trainer) {
  TRESTLE_ASSIGN_OR_RETURN(const Evaluation evaluation, trainer.Evaluate(*test_, "test"));
  if (evaluation.pass.stopped) {
    stopped_ = true;
    return {};
  }
  progress_->Say(MetricLine("test", evaluation));
  last_metrics_ = MetricFields(evaluation);
  RunLog::Fields fields = {{"step", trainer.step()}, {"set", std::string("test")}};
  fields.insert(fields.end(), last_metrics_.begin(), last_metrics_.end());
  progress_->Log("eval", fields);
  return {};
}

Status Job::ShareOutcome() {
  int64_t facts[3] = {0, 0, 0};
  if (leads()) {
    facts[0] = steps_;
    facts[1] = stopped_ ? 1 : 0;
    facts[2] = epochs_done_;
  }
  TRESTLE_RETURN_IF_ERROR(comm_.AllReduceSum({Stream::kControl, "the outcome"}, facts));
  steps_ = facts[0];
  stopped_ = facts[1] != 0;
  epochs_done_ = facts[2];
  return {};
}

Status Job::Finish() {
  const bool complete = epochs_done_ == loaded_.config.train().epochs();
  TRESTLE_ASSIGN_OR_RETURN(
      const std::string digest,
      ModelDigest(comm_, *node_, plan_.tables, leader_, backend_ ? backend_->Digest() : 0));
  const ModelInfo info{steps_, complete, Canonical(loaded_.config), statistics_};
  TRESTLE_RETURN_IF_ERROR(SaveModel(comm_, fs_, model_folder(), *node_, plan_.tables,
                                    backend_.get(), leader_, info, digest));
  progress_->Say(Format("model  %s (step %ld)", model_folder().c_str(), steps_));
  progress_->Say("digest " + digest);
  Status written;
  if (leads()) {
    RunLog::Fields summary = {{"digest", digest}, {"step", steps_}, {"complete", complete}};
    summary.insert(summary.end(), last_metrics_.begin(), last_metrics_.end());
    progress_->Log("end", summary);
    written = WriteFileAtomically(fs_, folder() + "/summary.json", RunLog::ToJson(summary) + "\n");
  }
  return AgreeOnStatus(comm_, kSetUp, written);
}

// What the weights mean is in the features and the model; the rest of a config may differ.
Status Job::CheckConfigOf(const ModelInfo& info) const {
  Config trained;
  if (!google::protobuf::TextFormat::ParseFromString(info.config, &trained)) {
    return {StatusCode::kCorrupt, "the model's config is not one that this program reads"};
  }
  const auto meaning = [](const Config& config) {
    Config part;
    *part.mutable_features() = config.features();
    *part.mutable_model() = config.model();
    return Canonical(part);
  };
  if (meaning(trained) == meaning(loaded_.config)) return {};
  return {StatusCode::kInvalidConfig,
          loaded_.path +
              ": the model was trained with another config: other `features` or another `model`; "
              "use the config.textproto of the run that wrote it"};
}

Status Job::Evaluate(const std::string& folder) {
  const std::string model = folder.empty() ? model_folder() : folder;
  Status possible;
  if (loaded_.config.data().test().empty()) {
    possible = {StatusCode::kInvalidConfig,
                loaded_.path + ": data.test names no files to evaluate"};
  } else if (!fs_.Exists(model + "/model.json")) {
    possible = {StatusCode::kNotFound,
                "no model in " + model + " (`trestle train` writes it at its end)"};
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, possible));
  TRESTLE_RETURN_IF_ERROR(SetUp("eval"));
  auto info = LoadModel(comm_, fs_, model, *node_, backend_.get());
  if (!info.ok()) return info.status();
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, CheckConfigOf(*info)));
  statistics_ = info->statistics;
  StopAtStepBoundaries();
  if (worker_ < 0) {
    TRESTLE_RETURN_IF_ERROR(node_->Serve());
  } else {
    Trainer trainer = MakeTrainer();
    TRESTLE_RETURN_IF_ERROR(EvaluateTest(trainer));
    TRESTLE_RETURN_IF_ERROR(trainer.Stop());
  }
  return AgreeOnStop("stopped on request");
}

}  // namespace trestle
