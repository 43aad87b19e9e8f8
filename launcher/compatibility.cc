#include "launcher/compatibility.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <sstream>
#include <string_view>

#include "base/hash.h"
#include "ps/checkpoint/manifest.h"
#include "worker/negative_keep.h"

namespace trestle {
namespace {

enum class Change { kFree, kRecorded, kDivergence, kNew, kRefused };

bool StartsWithAny(std::string_view path, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return path.starts_with(prefix); });
}

// A difference between two configs: "modified: batch.lanes: 16 -> 32", "added: ..." or "deleted:
// ..."
struct Difference {
  std::string kind;  // "modified"
  std::string path;  // "batch.lanes"
  std::string what;  // "batch.lanes: 16 -> 32"
};

// What says which rows a step reads.
bool IsBatch(const Difference& difference) {
  return StartsWithAny(difference.path, {"batch", "data.order"});
}

// A cosine without steps of its own ends with the epochs, or with `train.max_steps`.
bool TrainingEndsSchedule(const Config& config) {
  const LrSchedule& schedule = config.optimizer().schedule();
  return schedule.has_cosine() && !schedule.cosine().has_steps();
}

// A whole feature or one more column of it: not a setting of one that is there, such as
// `hash_buckets`, one more bound, or one more part of a cross.
bool IsNewFeature(const Difference& difference) {
  const std::string_view path = difference.path;
  const bool column = path.find(".columns[") != std::string_view::npos ||
                      path.find(".like[") != std::string_view::npos;
  const bool feature = path.find('.', sizeof("features")) == std::string_view::npos;
  return difference.kind == "added" && (feature || column) &&
         (feature || !path.starts_with("features.cross"));
}

Change Classify(const Difference& difference, const Config& now) {
  const std::string_view path = difference.path;
  const bool ends_training = path == "train.epochs" || path == "train.max_steps";
  if (ends_training && TrainingEndsSchedule(now)) return Change::kRecorded;
  if (StartsWithAny(path, {"checkpoint", "cluster", "train.epochs", "train.log_every_s",
                           "train.on_bad_step", "data.train", "data.test", "data.max_bad_rows",
                           "data.cache", "data.text", "data.holdout", "train.eval_every_steps",
                           "train.patience", "train.keep_best", "train.max_", "eval"})) {
    return Change::kFree;  // the files that come of it have fingerprints
  }
  if (IsBatch(difference)) return Change::kDivergence;
  // They leave nothing behind but weights.
  if (StartsWithAny(path, {"optimizer.schedule", "loss", "data.weight", "data.max_weight",
                           "data.positive_weight"})) {
    return Change::kRecorded;
  }
  // A number of an optimizer; another kind of optimizer is a message.
  if (path.starts_with("optimizer")) {
    const bool message = difference.what.find('{') != std::string::npos;
    return message ? Change::kRefused : Change::kRecorded;
  }
  // What a table is, its rows tell (CompareTables). How new ones start is left.
  if (path.starts_with("tables")) {
    const bool fresh_rows = difference.what.find("initializer") != std::string::npos;
    return fresh_rows ? Change::kDivergence : Change::kRecorded;
  }
  // What is there keeps its place and meaning.
  if (path.starts_with("features") && IsNewFeature(difference)) return Change::kNew;
  if (path.starts_with("model") && difference.kind == "added") return Change::kNew;
  return Change::kRefused;
}

// Names the optimizers that are used when none is named, so that a number that is set differs in
// that number alone.
Config WithOptimizers(Config config) {
  Optimizers& optimizer = *config.mutable_optimizer();
  if (optimizer.embedding().kind_case() == EmbeddingOptimizer::KIND_NOT_SET) {
    optimizer.mutable_embedding()->mutable_adagrad();
  }
  if (optimizer.dense().kind_case() == DenseOptimizer::KIND_NOT_SET) {
    optimizer.mutable_dense()->mutable_adam();
  }
  return config;
}

std::vector<Difference> DifferencesOf(const Config& then, const Config& now) {
  google::protobuf::util::MessageDifferencer differencer;
  std::string text;
  differencer.ReportDifferencesToString(&text);
  differencer.Compare(WithOptimizers(then), WithOptimizers(now));
  std::vector<Difference> differences;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string what = line.substr(colon + 2);
    differences.push_back({line.substr(0, colon), what.substr(0, what.find(": ")), what});
  }
  return differences;
}

Result<Config> ConfigOf(const Manifest& checkpoint) {
  Config config;
  if (!google::protobuf::TextFormat::ParseFromString(checkpoint.config(), &config)) {
    return Status(StatusCode::kUnsupported, checkpoint.name() +
                                                ": its config is not one that this program reads; "
                                                "use the program that wrote it, " +
                                                checkpoint.program());
  }
  return config;
}

// Tables that both have must hold rows that mean the same, and none may go.
void CompareTables(const Manifest& checkpoint, const JobPlan& plan, bool allow_new,
                   std::vector<std::string>* refused) {
  for (const TableSpec& spec : plan.tables) {
    const TableEntry* const found = FindTable(checkpoint, spec.name);
    const auto differ = [&](const std::string& what, const std::string& there,
                            const std::string& here) {
      if (there != here) {
        refused->push_back("table " + spec.name + " has " + what + " " + there + " there and " +
                           here + " here");
      }
    };
    if (found == nullptr) {
      if (!allow_new) {
        refused->push_back("it has no table " + spec.name + "; --allow-new gives it fresh rows");
      }
      continue;
    }
    differ("dim", std::to_string(found->dim()), std::to_string(spec.dim));
    differ("optimizer", found->optimizer(), OptimizerName(spec));
    differ("seed", Hex(found->seed()), Hex(spec.seed));  // what hashes its string keys
  }
  for (const TableEntry& table : checkpoint.tables()) {
    const bool used = std::any_of(plan.tables.begin(), plan.tables.end(),
                                  [&](const TableSpec& t) { return t.name == table.name(); });
    if (!used) refused->push_back("its table " + table.name() + " has no feature here");
  }
}

// An epoch that was begun is read to its end.
void CheckEpoch(const Cursor& cursor, const Config& now, std::vector<std::string>* refused) {
  if (cursor.epoch_step() == 0 || cursor.epoch() < now.train().epochs()) return;
  refused->push_back("train.epochs: " + std::to_string(now.train().epochs()) +
                     ", but it is in epoch " + std::to_string(cursor.epoch() + 1) +
                     "; raise it to that at least, so that the epoch is read to its end");
}

Status Refusal(const Manifest& checkpoint, const std::vector<std::string>& refused) {
  if (refused.empty()) return {};
  std::string text;
  for (const std::string& line : refused) {
    text += (text.empty() ? "" : "\n") + checkpoint.name() + ": " + line;
  }
  return {StatusCode::kInvalidConfig, text};
}

}  // namespace

Result<std::vector<std::string>> CheckCompatible(const Manifest& checkpoint,
                                                 const LoadedConfig& loaded, const JobPlan& plan,
                                                 const std::string& instruction_set,
                                                 const ResumeFlags& flags) {
  TRESTLE_ASSIGN_OR_RETURN(const Config then, ConfigOf(checkpoint));
  std::vector<std::string> refused, recorded;
  const std::string step = "step " + std::to_string(checkpoint.cursor().step()) + ": ";
  const std::string other_config = "; use the config of that run";
  const auto diverge = [&](const std::string& what) {
    if (flags.allow_divergence) {
      recorded.push_back(step + what);
    } else {
      refused.push_back(what + " changes the bits from here on; --allow-divergence accepts that");
    }
  };
  for (const Difference& difference : DifferencesOf(then, loaded.config)) {
    switch (Classify(difference, loaded.config)) {
      case Change::kFree:
        break;
      case Change::kRecorded:
        recorded.push_back(step + difference.what);
        break;
      case Change::kDivergence:
        if (checkpoint.cursor().epoch_step() > 0 && IsBatch(difference)) {
          refused.push_back(difference.what +
                            " in the middle of an epoch, some rows of which would be read twice "
                            "and some never; change it between two epochs");
        } else {
          diverge(difference.what);
        }
        break;
      case Change::kNew:
        if (flags.allow_new) {
          recorded.push_back(step + difference.kind + " " + difference.what);
        } else {
          refused.push_back(difference.kind + " " + difference.what + other_config +
                            ", or accept it with --allow-new");
        }
        break;
      case Change::kRefused:
        refused.push_back(difference.kind + " " + difference.what + other_config);
        break;
    }
  }
  if (checkpoint.run().instruction_set() != instruction_set) {
    diverge("instruction set: " + checkpoint.run().instruction_set() + " -> " + instruction_set);
  }
  CompareTables(checkpoint, plan, flags.allow_new, &refused);
  CheckEpoch(checkpoint.cursor(), loaded.config, &refused);
  TRESTLE_RETURN_IF_ERROR(Refusal(checkpoint, refused));
  return recorded;
}

Status CheckModel(const Manifest& checkpoint, const LoadedConfig& loaded, const JobPlan& plan) {
  TRESTLE_ASSIGN_OR_RETURN(const Config then, ConfigOf(checkpoint));
  const auto meaning = [](const Config& config) {
    Config part;
    *part.mutable_features() = config.features();
    *part.mutable_model() = config.model();
    return Canonical(part);
  };
  std::vector<std::string> refused;
  if (meaning(then) != meaning(loaded.config)) {
    refused.push_back(
        "the model was trained with another config: other `features` or another `model`; use the "
        "config.textproto of the run that wrote it");
  }
  if (NegativeKeep(then.data()) != NegativeKeep(loaded.config.data())) {
    refused.push_back(
        "the model was trained with another data.negative_keep, for which predictions are "
        "corrected; use the config.textproto of the run that wrote it");
  }
  CompareTables(checkpoint, plan, false, &refused);
  return Refusal(checkpoint, refused);
}

Status CheckInputs(const Manifest& checkpoint, const std::vector<InputFile>& files) {
  const std::string cure =
      "; give it the files that it was trained on, or go on with new ones once it has finished: "
      "--next-segment";
  if (static_cast<size_t>(checkpoint.inputs_size()) != files.size()) {
    return {StatusCode::kInvalidConfig, checkpoint.name() + ": data.train was " +
                                            std::to_string(checkpoint.inputs_size()) +
                                            " files and is " + std::to_string(files.size()) + cure};
  }
  for (size_t f = 0; f < files.size(); ++f) {
    const InputFileEntry& then = checkpoint.inputs(static_cast<int>(f));
    if (then.fingerprint() == files[f].fingerprint) continue;
    return {StatusCode::kInvalidConfig, checkpoint.name() + ": data.train has changed: file " +
                                            std::to_string(f + 1) + " was " + then.path() + " (" +
                                            std::to_string(then.rows()) + " rows) and is " +
                                            files[f].path + " (" + std::to_string(files[f].rows) +
                                            " rows), not the same" + cure};
  }
  return {};
}

}  // namespace trestle
