// `trestle doctor`, `config` and `synth`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/thread_pool.h"
#include "launcher/command_set.h"
#include "launcher/config.h"
#include "launcher/config_docs.h"
#include "launcher/doctor.h"
#include "launcher/job_plan.h"
#include "launcher/synth/plant.h"

namespace trestle {
namespace {

struct CheckArguments {
  ConfigArguments config;
  bool print = false;
};

struct PlantArguments {
  PlantSettings settings;
  std::string folder;
  int threads = 0;  // 0: all cores
};

int CheckConfig(const CheckArguments& arguments) {
  const Result<LoadedConfig> config = LoadConfig(arguments.config.path, arguments.config.set);
  if (!config.ok()) return Finish(config.status());
  if (const Status parts = MakeJobPlan(*config).status(); !parts.ok()) return Finish(parts);
  if (arguments.print) {
    std::cout << Canonical(config->config);
  } else {
    std::cout << arguments.config.path << ": ok\n";
  }
  return ExitCode(StatusCode::kOk);
}

int RunDoctor(const std::string& folder) {
  const std::vector<Finding> findings = Examine(Machine::This(), folder);
  std::cout << FindingsText(findings);
  return ExitCode(HasProblem(findings) ? StatusCode::kUnsupported : StatusCode::kOk);
}

int SynthPlant(const PlantArguments& arguments) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  ThreadPool pool(arguments.threads > 0 ? arguments.threads : cores);
  const Result<PlantReport> report = WritePlant(arguments.settings, arguments.folder, pool);
  if (!report.ok()) return Finish(report.status());
  std::cout << PlantReportText(*report, arguments.folder);
  return ExitCode(StatusCode::kOk);
}

void AddDoctor(CLI::App* app, CommandSet* commands) {
  const auto folder = std::make_shared<std::string>("runs");
  CLI::App* doctor = commands->Add(app, "doctor", "Look at this machine for what would hurt a run",
                                   [folder] { return RunDoctor(*folder); });
  doctor->add_option("DIR", *folder, "folder that runs are written to")->capture_default_str();
}

void AddConfig(CLI::App* app, CommandSet* commands) {
  CLI::App* config = commands->AddParent(app, "config", "Check configs, show what can be set");
  const auto arguments = std::make_shared<CheckArguments>();
  CLI::App* check =
      commands->Add(config, "check", "Read and check a config, and say all that is wrong",
                    [arguments] { return CheckConfig(*arguments); });
  AddConfigArguments(check, &arguments->config);
  check->add_flag("--print", arguments->print, "print the effective config");
  commands->Add(config, "docs",
                "Print docs/config.md: every setting, its default, range and meaning", [] {
                  std::cout << ConfigDocs();
                  return ExitCode(StatusCode::kOk);
                });
}

void AddSynth(CLI::App* app, CommandSet* commands) {
  CLI::App* synth =
      commands->AddParent(app, "synth", "Write data whose best possible AUC is known");
  const auto arguments = std::make_shared<PlantArguments>();
  CLI::App* plant = commands->Add(
      synth, "plant", "Clicks that depend on what a history has in common with the candidate",
      [arguments] { return SynthPlant(*arguments); });
  PlantSettings& s = arguments->settings;
  plant->add_option("DIR", arguments->folder, "folder for the Parquet files")->required();
  plant->add_option("--rows", s.rows, "rows, 90 % of them to train with")->capture_default_str();
  plant->add_option("--categories", s.categories, "categories, of 20 items each on average")
      ->capture_default_str();
  plant->add_option("--interests", s.interests, "categories a user likes")->capture_default_str();
  plant->add_option("--seed", s.seed, "other seeds, other data")->capture_default_str();
  plant->add_option("--threads", arguments->threads, "the same bytes at any number")
      ->check(CLI::Range(1, 1024));
}

}  // namespace

void AddToolCommands(CLI::App* app, CommandSet* commands) {
  AddDoctor(app, commands);
  AddConfig(app, commands);
  AddSynth(app, commands);
}

}  // namespace trestle
