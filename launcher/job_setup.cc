#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/hash.h"
#include "base/plugin.h"
#include "launcher/device.h"
#include "launcher/evaluation.h"
#include "launcher/format.h"
#include "launcher/job.h"
#include "launcher/job_operations.h"
#include "launcher/logging.h"
#include "launcher/prepare/import_lines.h"
#include "launcher/signals.h"
#include "launcher/startup.h"
#include "launcher/terminal.h"
#include "launcher/version.h"
#include "worker/reject_file.h"

namespace trestle {
namespace {

constexpr Operation kQuantiles{Stream::kControl, "quantiles of bucketized columns", -1, kLongPhase};
constexpr Operation kStatistics{Stream::kDense, "statistics of numeric columns", -1, kLongPhase};

bool NeedsStatistics(const Schema& schema) {
  return std::any_of(schema.numeric.begin(), schema.numeric.end(), [](const NumericColumn& column) {
    return column.scaling != NumericFeature::NONE;
  });
}

// Metrics count each row once.
Schema WithoutWeights(Schema schema) {
  schema.weight.clear();
  schema.positive_weight = 1;
  return schema;
}

// Behind each a byte that no path holds.
std::string JoinTexts(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += text + '\0';
  return joined;
}

std::vector<std::string> SplitTexts(const std::string& joined) {
  std::vector<std::string> texts;
  std::istringstream in(joined);
  for (std::string text; std::getline(in, text, '\0');) texts.push_back(text);
  return texts;
}

}  // namespace

Job::Job(Communicator& comm, const LoadedConfig& loaded, FileSystem& fs, const Clock& clock)
    : comm_(comm), loaded_(loaded), fs_(fs), clock_(clock) {}

Status Job::SetUp(const std::string& command) {
  TRESTLE_RETURN_IF_ERROR(Check());
  TRESTLE_RETURN_IF_ERROR(OpenInput(command));
  return OpenRunFolder(command);
}

Status Job::Check() {
  TRESTLE_RETURN_IF_ERROR(AgreeOnFacts(
      comm_, {{"the config", Hex(ConfigHash(loaded_.config))}, {"the program", BuildFacts()}}));
  auto plan = MakeJobPlan(loaded_);
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, plan.status()));
  plan_ = *std::move(plan);
  TRESTLE_ASSIGN_OR_RETURN(instruction_set_, AgreeOnInstructionSet(comm_));

  TRESTLE_ASSIGN_OR_RETURN(const auto hosts, GatherHosts(comm_));
  hosts_ = static_cast<int>(std::set(hosts.begin(), hosts.end()).size());
  TRESTLE_ASSIGN_OR_RETURN(const auto cores, GatherCores(comm_));
  const auto device = ChooseDevice(comm_, loaded_.config.cluster().device(), hosts,
                                   [] { return LoadGpuPlugin(PluginFolder()); });
  TRESTLE_RETURN_IF_ERROR(device.status().Wrap(loaded_.Place("cluster.device")));
  CHECK(!device->gpu) << "the plugin of this version lacks parts (GpuPlugin::MissingParts)";
  why_cpu_ = device->why_cpu;

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

// Imports what is not in blocks yet, on the leader; what all open then is what it says.
Status Job::PrepareFiles(const Schema& schema, const Data& data, PrepareOptions options) {
  Result<PreparedInput> prepared = PreparedInput();
  if (leads()) {
    ImportLines lines(stdout, PrintsToTerminal(), clock_);
    options.threads = threads_;
    options.say = [&](const std::string& text) { lines.Say(text); };
    options.progress = [&](const ImportProgress& progress) { lines.Show(progress); };
    prepared = PrepareInput(schema, data, options, fs_);
    if (prepared.ok()) lines.End(*prepared);
  }
  Status status = prepared.status();
  // Refused rows that are kept are counted where they are read.
  if (leads() && status.ok() && !options.keep_refused) status = CheckRejected(*prepared, data);
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kReading, status));
  std::vector<Patterns*> all = {&prepared->train, &prepared->test};
  prepared->more_tests.resize(options.more_tests.size());
  for (Patterns& files : prepared->more_tests) all.push_back(&files);
  for (Patterns* const files : all) {
    TRESTLE_ASSIGN_OR_RETURN(const auto lists, comm_.AllGather(kSetUp, JoinTexts(*files)));
    *files = SplitTexts(lists[static_cast<size_t>(leader_.value)]);
  }
  int64_t parts = static_cast<int64_t>(prepared->parts.size());  // the leader's
  TRESTLE_RETURN_IF_ERROR(comm_.AllReduceSum(kSetUp, std::span(&parts, 1)));
  imported_ = parts > 0;
  files_ = *std::move(prepared);
  return {};
}

// `eval` reads no training files: the statistics of numeric columns are the model's.
Status Job::OpenInput(const std::string& command) {
  PrepareOptions options;
  options.train = command == "train";
  for (const EvaluationSet& set : loaded_.config.eval().set()) {
    options.more_tests.emplace_back(set.files().begin(), set.files().end());
  }
  TRESTLE_RETURN_IF_ERROR(PrepareFiles(plan_.schema, loaded_.config.data(), std::move(options)));
  Status opened;
  if (worker_ >= 0) {
    if (command == "train") {
      Schema schema = plan_.schema;
      schema.slices.clear();
      auto train = OpenDataset(schema, {files_.train, plan_.TableSeeds()});
      opened = train.status();
      if (train.ok()) train_ = *std::move(train);
    }
    if (opened.ok()) opened = WithPlaces(loaded_, OpenTests());
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kReading, opened));
  Facts facts = {{"data.train's files", train_ ? Hex(train_->Fingerprint()) : ""},
                 {"data.test's files", test_ ? Hex(test_->Fingerprint()) : ""}};
  for (int i = 0; i < loaded_.config.eval().set_size(); ++i) {
    facts.emplace_back("the files of eval.set " + loaded_.config.eval().set(i).name(),
                       worker_ >= 0 ? Hex(more_tests_[static_cast<size_t>(i)]->Fingerprint()) : "");
  }
  return AgreeOnFacts(comm_, facts);
}

Status Job::OpenTests() {
  const Schema schema = WithoutWeights(plan_.schema);
  const auto open = [&](const Patterns& files, std::unique_ptr<Dataset>* data) -> Status {
    TRESTLE_ASSIGN_OR_RETURN(*data, OpenDataset(schema, {files, plan_.TableSeeds()}));
    return {};
  };
  if (!files_.test.empty()) TRESTLE_RETURN_IF_ERROR(open(files_.test, &test_));
  for (size_t i = 0; i < files_.more_tests.size(); ++i) {
    const std::string name = "eval.set " + loaded_.config.eval().set(static_cast<int>(i)).name();
    const Patterns& files = files_.more_tests[i];
    if (files.empty()) {  // imported ones
      return Status(StatusCode::kInvalidData, "its files have no rows, or all were rejected")
          .Wrap(name);
    }
    TRESTLE_RETURN_IF_ERROR(open(files, &more_tests_.emplace_back()).Wrap(name));
  }
  const std::vector<NamedSet> sets = Sets();
  if (sets.empty()) return {};
  return CheckMonitored(loaded_.config.eval().monitor(), sets.front().name,
                        sets.front().data->rows());
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

// Likewise; dedicated servers hear of the bounds too, since a warm start asks what keys mean.
Status Job::ShareBounds() {
  bounds_ = GivenBounds(plan_.schema);
  if (!NeedsQuantiles(plan_.schema)) return {};
  std::vector<std::vector<double>> mine(bounds_.size());
  Status read;
  if (worker_ >= 0) {
    const auto workers = static_cast<int64_t>(roles_.workers.size());
    auto cells = train_->QuantileCells(train_->blocks() * worker_ / workers,
                                       train_->blocks() * (worker_ + 1) / workers);
    read = cells.status();
    if (cells.ok()) mine = *std::move(cells);
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kReading, read));
  for (size_t b = 0; b < bounds_.size(); ++b) {
    const int quantiles = plan_.schema.buckets[b].quantiles;
    if (quantiles == 0) continue;
    const std::string bytes(reinterpret_cast<const char*>(mine[b].data()),
                            mine[b].size() * sizeof(double));
    TRESTLE_ASSIGN_OR_RETURN(const auto all, comm_.AllGather(kQuantiles, bytes));
    std::vector<double> cells;
    for (const std::string& part : all) {
      const size_t at = cells.size();
      cells.resize(at + part.size() / sizeof(double));
      std::memcpy(cells.data() + at, part.data(), part.size());
    }
    bounds_[b] = QuantileBounds(std::move(cells), quantiles);
  }
  return {};
}

Status Job::TakeRunFolder(const std::string& command) {
  // Its own name must be on disk before what is in it counts.
  TRESTLE_RETURN_IF_ERROR(MakeDurableDirectories(fs_, folder()));
  if (!leads() || command != "train") return {};
  TRESTLE_ASSIGN_OR_RETURN(lock_, RunLock::Take(fs_, folder()));
  return {};
}

Status Job::OpenRunFolder(const std::string& command) {
  // All ranks wait for the leader's lock: what is in the folder may be another run's.
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm_, kSetUp, TakeRunFolder(command)));
  Status opened = LogToFolder(fs_, folder(), comm_.rank());
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
  // Polled and called once training runs, when there is a writer.
  options.checkpoint_votes = [this] {
    if (!checkpoints_) return CheckpointVotes();
    if (TakeCheckpointRequest()) checkpoints_->Request();
    return checkpoints_->Votes();
  };
  options.stop_requested = StopRequested;
  options.at_boundary = [this](const AgreedHeader& header) {
    return AtBoundary(header, 0, nullptr);
  };
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
  if (!why_cpu_.empty()) progress_->Say("note: cluster.device AUTO takes the CPU: " + why_cpu_);
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

}  // namespace trestle
