#include "launcher/config.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/fixed_point.h"
#include "base/hash.h"
#include "base/nearest_name.h"
#include "launcher/config/override.h"
#include "launcher/config/problems.h"
#include "launcher/config/ranges.h"
#include "launcher/config/text_reader.h"

namespace trestle {
namespace {

constexpr int64_t kDefaultBatchRows = 4096;
constexpr int64_t kDefaultLaneRows = 256;
constexpr int kDefaultEpochs = 1;
constexpr double kDefaultLogEverySeconds = 10;
constexpr int kDefaultDeadlineSeconds = 120;
constexpr int kDefaultKeep = 3;
constexpr int kDefaultSnapshotMiB = 1024;
constexpr int kDefaultFullEvery = 8;

class Checker {
 public:
  Checker(LoadedConfig* loaded, Problems* problems) : loaded_(loaded), problems_(problems) {}

  void Check() {
    CheckRanges(loaded_->config, loaded_->places, problems_);
    CheckRequired();
    CheckLanes();
    CheckSchedule();
    CheckTables();
    CheckHoldout();
    CheckEvaluation();
  }

 private:
  void Add(const std::string& path, const std::string& text) {
    FieldPlace place = loaded_->places.Nearest(path);
    if (!place.known()) place = {1, 1, -1};
    problems_->Add(place, path + ": " + text);
  }

  // What may only be misspelt is not told to be missing as well.
  void Require(bool there, const std::string& scope, const std::string& path,
               const std::string& text) {
    if (!there && !problems_->Unclear("") && !problems_->Unclear(scope)) Add(path, text);
  }

  void CheckRequired() {
    const Config& config = loaded_->config;
    Require(config.data().train_size() > 0, "data", "data.train",
            "missing; name the training files, as in data { train: \"data/train/*.parquet\" }");
    Require(!config.data().label().empty(), "data", "data.label",
            "missing; name the column of 0 and 1, as in data { label: \"click\" }");
    Require(config.model().kind_case() != Model::KIND_NOT_SET, "model", "model",
            "missing; choose one of " + JoinNames(FieldNames(Model::descriptor())) +
                ", as in model { din { ... } }");
  }

  void CheckLanes() {
    const Batch& batch = loaded_->config.batch();
    const bool in_range = batch.lanes() >= 1 && batch.lanes() <= kMaxLanes && batch.rows() >= 1;
    if (!in_range || batch.lanes() <= batch.rows()) return;
    Add("batch.lanes", std::to_string(batch.lanes()) + " lanes for batch.rows " +
                           std::to_string(batch.rows()) + "; allowed: 1 to " +
                           std::to_string(std::min<int64_t>(batch.rows(), kMaxLanes)));
  }

  void CheckSchedule() {
    const LrSchedule& schedule = loaded_->config.optimizer().schedule();
    if (schedule.has_step() && !schedule.step().has_every_steps()) {
      Add("optimizer.schedule.step.every_steps",
          "missing; say after how many steps the rates fall, as in step { every_steps: 1000 }");
    }
    if (schedule.has_exponential() && !schedule.exponential().has_decay_steps()) {
      Add("optimizer.schedule.exponential.decay_steps",
          "missing; say in how many steps the rates fall by the factor, as in exponential { "
          "decay_steps: 1000 }");
    }
    const int64_t steps = schedule.cosine().steps();
    if (steps > 0 && steps <= schedule.warmup_steps()) {
      Add("optimizer.schedule.cosine.steps",
          std::to_string(steps) + " steps are over before the warm-up of " +
              std::to_string(schedule.warmup_steps()) + "; give more, or none for all of the run");
    }
  }

  void CheckHoldout() {
    const Data& data = loaded_->config.data();
    if (!data.has_holdout() || data.test_size() == 0) return;
    Add("data.holdout", "data.test names files to test with already; take one of the two");
  }

  void CheckEvaluation() {
    const Config& config = loaded_->config;
    const Eval& eval = config.eval();
    std::set<std::string> names = {"test"};
    for (int i = 0; i < eval.set_size(); ++i) {
      const std::string path = EntryPath("eval.set", i);
      const EvaluationSet& set = eval.set(i);
      if (set.name().empty()) {
        Add(path, "has no name; lines and metrics.jsonl tell sets apart by it");
      } else if (!names.insert(set.name()).second) {
        Add(path + ".name", "\"" + set.name() + "\" is another set already" +
                                (set.name() == "test" ? ", the one of data.test" : ""));
      }
      if (set.files().empty()) Add(path + ".files", "missing; name the files to evaluate");
    }
    std::set<std::string> columns;
    for (int i = 0; i < eval.slices_size(); ++i) {
      const std::string& column = eval.slices(i);
      if (columns.insert(column).second && !column.empty()) continue;
      Add(EntryPath("eval.slices", i),
          column.empty() ? "a column has an empty name" : "\"" + column + "\" is there already");
    }
    if (eval.monitor() == Eval::GAUC && config.data().group().empty()) {
      Add("eval.monitor", "GAUC needs data.group, the column of the groups");
    }
    RequireSets(config);
  }

  // What has no meaning without evaluations.
  void RequireSets(const Config& config) {
    const Data& data = config.data();
    if (data.test_size() > 0 || data.holdout() > 0 || config.eval().set_size() > 0) return;
    const std::string cure =
        "there is nothing to evaluate; name files in data.test or eval.set, or "
        "set data.holdout";
    if (config.train().has_eval_every_steps()) Add("train.eval_every_steps", cure);
    if (config.train().has_patience()) Add("train.patience", cure);
    if (config.train().keep_best()) Add("train.keep_best", cure);
  }

  void CheckTables() {
    std::map<std::string, int> first;
    for (int i = 0; i < loaded_->config.tables_size(); ++i) {
      const std::string path = EntryPath("tables", i);
      const std::string& name = loaded_->config.tables(i).name();
      if (name.empty()) {
        Add(path, "has no name; name the feature it is the table of");
      } else if (const auto [it, fresh] = first.emplace(name, i); !fresh) {
        Add(path, "\"" + name + "\" has an entry already: tables[" + std::to_string(it->second) +
                      "]; put both together");
      }
    }
  }

  LoadedConfig* loaded_;
  Problems* problems_;
};

void NameTables(LoadedConfig* loaded) {
  for (int i = loaded->config.tables_size() - 1; i >= 0; --i) {
    loaded->places.SetAlias("tables[" + loaded->config.tables(i).name() + "]",
                            EntryPath("tables", i));
  }
}

std::string Stem(const std::string& path) { return std::filesystem::path(path).stem().string(); }

// The field path that a line starts with ("model.din.candidate[1]: ..."); empty if it starts
// otherwise.
std::string_view LeadingFieldPath(std::string_view line) {
  const size_t first_end = line.find_first_of(".[:");
  if (first_end == std::string_view::npos) return {};
  if (!Config::descriptor()->FindFieldByName(std::string(line.substr(0, first_end)))) return {};
  bool inside = false;
  for (size_t i = first_end; i < line.size(); ++i) {
    if (line[i] == '[') inside = true;
    if (line[i] == ']') inside = false;
    if (inside) continue;
    if (line[i] == ':') return line.substr(0, i);
    if (line[i] == ' ') return {};
  }
  return {};
}

}  // namespace

std::string LoadedConfig::Place(std::string_view field_path) const {
  return PlaceText(path, overrides, places.Nearest(field_path));
}

Result<LoadedConfig> LoadConfig(const std::string& path, const std::vector<std::string>& overrides,
                                FileSystem& fs) {
  TRESTLE_ASSIGN_OR_RETURN(const std::string text, fs.Read(path));
  LoadedConfig loaded{{}, path, overrides, {}};
  Problems problems;
  TextReader reader(
      text,
      [](int line, int column) {
        return FieldPlace{line, column, -1};
      },
      &loaded.places, &problems);
  reader.ReadFields(&loaded.config, "");
  for (size_t i = 0; i < overrides.size(); ++i) {
    ApplyOverride(overrides[i], static_cast<int>(i), &loaded.config, &loaded.places, &problems);
  }
  FillDefaults(Stem(path), &loaded.config);
  NameTables(&loaded);
  Checker(&loaded, &problems).Check();
  TRESTLE_RETURN_IF_ERROR(problems.ToStatus(path, overrides));
  return loaded;
}

Status WithPlaces(const LoadedConfig& config, const Status& status) {
  if (status.code() != StatusCode::kInvalidConfig) return status;
  const std::string& root = status.root_message();
  std::string text;
  for (size_t begin = 0; begin <= root.size();) {
    const size_t end = std::min(root.find('\n', begin), root.size());
    const std::string_view line = std::string_view(root).substr(begin, end - begin);
    if (!text.empty()) text += '\n';
    text += config.Place(LeadingFieldPath(line)) + ": ";
    text += line;
    begin = end + 1;
  }
  return {StatusCode::kInvalidConfig, text};
}

void FillDefaults(const std::string& name, Config* config) {
  Batch* batch = config->mutable_batch();
  if (!batch->has_rows()) batch->set_rows(kDefaultBatchRows);
  if (!batch->has_lanes()) {
    batch->set_lanes(
        static_cast<int32_t>(std::clamp<int64_t>(batch->rows() / kDefaultLaneRows, 1, kMaxLanes)));
  }
  Data* data = config->mutable_data();
  if (data->cache().empty()) data->set_cache("data/cache/" + name);
  Train* train = config->mutable_train();
  if (!train->has_epochs()) train->set_epochs(kDefaultEpochs);
  if (!train->has_log_every_s()) train->set_log_every_s(kDefaultLogEverySeconds);
  Cluster* cluster = config->mutable_cluster();
  if (!cluster->has_deadline_s()) cluster->set_deadline_s(kDefaultDeadlineSeconds);
  Checkpoint* checkpoint = config->mutable_checkpoint();
  if (checkpoint->dir().empty()) checkpoint->set_dir("runs/" + name);
  if (!checkpoint->has_keep()) checkpoint->set_keep(kDefaultKeep);
  if (!checkpoint->has_snapshot_mb()) checkpoint->set_snapshot_mb(kDefaultSnapshotMiB);
  if (!checkpoint->has_full_every()) checkpoint->set_full_every(kDefaultFullEvery);
}

std::string Canonical(const Config& config) {
  std::string text;
  google::protobuf::TextFormat::Printer().PrintToString(config, &text);
  return text;
}

std::string CheckpointsOf(const Config& config) {
  const Checkpoint& checkpoint = config.checkpoint();
  return checkpoint.store().empty() ? checkpoint.dir() + "/checkpoints" : checkpoint.store();
}

uint64_t ConfigHash(const Config& config) { return Hash64(Canonical(config)); }

}  // namespace trestle
