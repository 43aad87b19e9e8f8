#include "launcher/compatibility.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string_view>

namespace trestle {
namespace {

enum class Change { kFree, kRecorded, kDivergence, kNew, kRefused };

bool StartsWithAny(std::string_view path, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return path.starts_with(prefix); });
}

// `line` is "modified: batch.lanes: 16 -> 32", "added: ..." or "deleted: ...".
Change Classify(std::string_view kind, std::string_view path) {
  if (StartsWithAny(path, {"checkpoint", "cluster", "train.epochs", "train.log_every_s",
                           "train.on_bad_step", "data.train", "data.test", "data.max_bad_rows"})) {
    return Change::kFree;
  }
  if (StartsWithAny(path, {"batch", "data.order"})) return Change::kDivergence;
  // A number inside an optimizer; one whose kind changed is "added" and "deleted" as a whole.
  if (path.starts_with("optimizer.") && std::count(path.begin(), path.end(), '.') >= 2 &&
      (kind == "modified" || std::count(path.begin(), path.end(), '.') >= 3)) {
    return Change::kRecorded;
  }
  if (StartsWithAny(path, {"features", "model", "tables"}) && kind != "deleted")
    return Change::kNew;
  return Change::kRefused;
}

std::string DifferencesOf(const Config& then, const Config& now) {
  google::protobuf::util::MessageDifferencer differencer;
  std::string text;
  differencer.ReportDifferencesToString(&text);
  differencer.Compare(then, now);
  return text;
}

Result<Config> ConfigOf(const Manifest& checkpoint) {
  Config config;
  if (!google::protobuf::TextFormat::ParseFromString(checkpoint.config(), &config)) {
    return Status(StatusCode::kCorrupt,
                  checkpoint.name() + ": its config is not one that this program reads");
  }
  return config;
}

std::string Hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016lx", value);
  return text;
}

// Tables that both have must hold rows that mean the same.
void CompareTables(const Manifest& checkpoint, const JobPlan& plan, bool allow_new,
                   std::vector<std::string>* refused) {
  for (const TableSpec& spec : plan.tables) {
    const auto same = [&](const TableEntry& t) { return t.name() == spec.name; };
    const auto found = std::find_if(checkpoint.tables().begin(), checkpoint.tables().end(), same);
    const auto differ = [&](const std::string& what, const std::string& there,
                            const std::string& here) {
      if (there != here) {
        refused->push_back("table " + spec.name + " has " + what + " " + there + " there and " +
                           here + " here");
      }
    };
    if (found == checkpoint.tables().end()) {
      if (!allow_new) {
        refused->push_back("it has no table " + spec.name + "; --allow-new gives it fresh rows");
      }
      continue;
    }
    differ("dim", std::to_string(found->dim()), std::to_string(spec.dim));
    differ("optimizer", found->optimizer(), OptimizerName(spec));
    differ("seed", Hex(found->seed()), Hex(spec.seed));  // what hashes its string keys
  }
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

std::string OptimizerName(const TableSpec& spec) {
  switch (spec.optimizer.kind_case()) {
    case EmbeddingOptimizer::kSgd:
      return "sgd";
    case EmbeddingOptimizer::kRowwiseAdagrad:
      return "rowwise_adagrad";
    case EmbeddingOptimizer::kAdam:
      return "adam";
    case EmbeddingOptimizer::kAdagrad:
    case EmbeddingOptimizer::KIND_NOT_SET:
      return "adagrad";
  }
  return "state";
}

Result<std::vector<std::string>> CheckCompatible(const Manifest& checkpoint,
                                                 const LoadedConfig& loaded, const JobPlan& plan,
                                                 const std::string& instruction_set,
                                                 const ResumeFlags& flags) {
  TRESTLE_ASSIGN_OR_RETURN(const Config then, ConfigOf(checkpoint));
  std::vector<std::string> refused, recorded;
  const std::string step = "step " + std::to_string(checkpoint.cursor().step()) + ": ";
  const auto diverge = [&](const std::string& what) {
    if (flags.allow_divergence) {
      recorded.push_back(step + what);
    } else {
      refused.push_back(what + " changes the bits from here on; --allow-divergence accepts that");
    }
  };
  std::istringstream lines(DifferencesOf(then, loaded.config));
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string kind = line.substr(0, colon), what = line.substr(colon + 2);
    switch (Classify(kind, what.substr(0, what.find(": ")))) {
      case Change::kFree:
        break;
      case Change::kRecorded:
        recorded.push_back(step + what);
        break;
      case Change::kDivergence:
        diverge(what);
        break;
      case Change::kNew:
        if (flags.allow_new) {
          recorded.push_back(step + kind + " " + what);
        } else {
          refused.push_back(kind + " " + what + "; use the config of that run");
        }
        break;
      case Change::kRefused:
        refused.push_back(kind + " " + what + "; use the config of that run");
        break;
    }
  }
  if (checkpoint.run().instruction_set() != instruction_set) {
    diverge("instruction set: " + checkpoint.run().instruction_set() + " -> " + instruction_set);
  }
  CompareTables(checkpoint, plan, flags.allow_new, &refused);
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
