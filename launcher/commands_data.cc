// `trestle init`, `prepare` and `synth`: from raw files to what is trained on.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "base/thread_pool.h"
#include "launcher/command_set.h"
#include "launcher/config.h"
#include "launcher/init/init.h"
#include "launcher/prepare/prepare_import.h"
#include "launcher/prepare/taobao.h"
#include "launcher/synth/plant.h"
#include "launcher/synth/taobao.h"

namespace trestle {
namespace {

// What all `synth` commands have.
template <class Settings>
struct SynthArguments {
  Settings settings;
  std::string folder;
  int threads = 0;  // 0: all cores
};

int ThreadsOf(int given) {
  return given > 0 ? given : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

void AddThreads(CLI::App* command, int* threads) {
  command->add_option("--threads", *threads, "default: all cores; the same bytes at any number")
      ->check(CLI::Range(1, 1024));
}

void AddMemory(CLI::App* command, uint64_t* bytes, const std::string& what,
               const std::string& by_default) {
  command->add_option("--memory", *bytes, what)
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->type_name("SIZE")
      ->default_str(by_default);
}

int SynthPlant(const SynthArguments<PlantSettings>& arguments) {
  ThreadPool pool(ThreadsOf(arguments.threads));
  const Result<PlantReport> report = WritePlant(arguments.settings, arguments.folder, pool);
  if (!report.ok()) return Finish(report.status());
  std::cout << PlantReportText(*report, arguments.folder);
  return ExitCode(StatusCode::kOk);
}

int SynthTaobao(FileSystem& files, const SynthArguments<TaobaoSettings>& arguments) {
  ThreadPool pool(ThreadsOf(arguments.threads));
  const auto report = WriteTaobao(files, arguments.settings, arguments.folder, pool);
  if (!report.ok()) return Finish(report.status());
  std::cout << TaobaoReportText(*report, arguments.folder);
  return ExitCode(StatusCode::kOk);
}

void AddInit(CLI::App* app, CommandSet* commands) {
  const auto arguments = std::make_shared<InitArguments>();
  FileSystem& files = commands->files();
  CLI::App* init = commands->Add(
      app, "init", "Look at files and write a config that trains on them",
      [arguments, &files] { return Finish(InitCommand(files, *arguments, std::cout)); });
  InitArguments& a = *arguments;
  init->add_option("FILES", a.files, "raw files, shell patterns allowed")->required();
  init->add_option("--label", a.label, "column to predict")->required()->expected(1);
  init->add_option("--output", a.output, "the config, default NAME.textproto of the first file")
      ->type_name("FILE");
  init->add_option("--group", a.group, "id that GAUC averages over, default one of users");
  init->add_option("--columns", a.columns, "names of the columns of files without a header: a,b,c")
      ->delimiter(',')
      ->type_name("NAMES")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  init->add_flag("--newlines", a.newlines, "quoted fields may go over several lines");
  init->add_flag("--force", a.force, "overwrite the config");
}

struct ImportCommand {
  ConfigArguments config;
  ImportArguments import;
};

int RunImport(FileSystem& files, const ImportCommand& arguments) {
  const Result<LoadedConfig> config = LoadConfig(arguments.config.path, arguments.config.set);
  if (!config.ok()) return Finish(config.status());
  return Finish(PrepareImport(*config, arguments.import, files));
}

void AddPrepareImport(CLI::App* prepare, CommandSet* commands) {
  const auto arguments = std::make_shared<ImportCommand>();
  FileSystem& files = commands->files();
  CLI::App* import =
      commands->Add(prepare, "import", "Import the raw files of a config into its data.cache",
                    [arguments, &files] { return RunImport(files, *arguments); });
  AddConfigArguments(import, &arguments->config);
  AddThreads(import, &arguments->import.threads);
  AddMemory(import, &arguments->import.memory, "about the most to use, at least 64MB", "1GB");
  import->add_flag("--key-counts", arguments->import.key_counts,
                   "count each table's keys into the cache's key-counts/TABLE.arrow");
}

void AddSynthPlant(CLI::App* synth, CommandSet* commands) {
  const auto arguments = std::make_shared<SynthArguments<PlantSettings>>();
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
  AddThreads(plant, &arguments->threads);
}

void AddSynthTaobao(CLI::App* synth, CommandSet* commands) {
  const auto arguments = std::make_shared<SynthArguments<TaobaoSettings>>();
  FileSystem& files = commands->files();
  CLI::App* taobao =
      commands->Add(synth, "taobao", "The raw files of Alibaba's display advertising data, planted",
                    [arguments, &files] { return SynthTaobao(files, *arguments); });
  TaobaoSettings& s = arguments->settings;
  taobao->add_option("DIR", arguments->folder, "folder for the CSV files")->required();
  taobao->add_option("--rows", s.rows, "impressions, of eight days")->capture_default_str();
  taobao->add_option("--users", s.users, "users; 0: one for 23 rows, as in the real data")
      ->capture_default_str();
  taobao->add_option("--behaviours", s.behaviours, "behaviours of a user, on average")
      ->capture_default_str();
  taobao->add_option("--categories", s.categories, "categories of ads")->capture_default_str();
  taobao->add_option("--seed", s.seed, "other seeds, other data")->capture_default_str();
  AddThreads(taobao, &arguments->threads);
}

void AddPrepareTaobao(CLI::App* prepare, CommandSet* commands) {
  const auto arguments = std::make_shared<PrepareTaobaoOptions>();
  arguments->threads = ThreadsOf(0);
  FileSystem& files = commands->files();
  CLI::App* taobao = commands->Add(
      prepare, "taobao", "Alibaba's display advertising data, as published or from synth",
      [arguments, &files] {
        return Finish(PrepareTaobao(files, *arguments, std::cout, std::cerr));
      });
  PrepareTaobaoOptions& o = *arguments;
  taobao
      ->add_option("RAW", o.raw,
                   "folder with raw_sample.csv, ad_feature.csv, user_profile.csv and "
                   "behavior_log.csv")
      ->required();
  taobao->add_option("OUT", o.out, "folder for train/*.parquet and test/*.parquet")->required();
  taobao->add_flag("--time-order", o.in_time_order,
                   "rows in the order of their time, for data.order TIME; else shuffled");
  AddMemory(taobao, &o.memory, "of all processes together, at least 512MB", "4GB");
  AddThreads(taobao, &o.threads);
  taobao->add_option("--buckets", o.buckets, "of users; default: as the memory asks for")
      ->check(CLI::Range(1, 10'000));
  taobao->add_option("--duckdb", o.duckdb, "the program; default: as scripts/setup installs it");
  taobao->add_flag("--force", o.force, "even if OUT was prepared before");
}

}  // namespace

void AddDataCommands(CLI::App* app, CommandSet* commands) {
  AddInit(app, commands);
  CLI::App* prepare = commands->AddParent(app, "prepare", "Turn raw logs into training files");
  AddPrepareImport(prepare, commands);
  AddPrepareTaobao(prepare, commands);
  CLI::App* synth =
      commands->AddParent(app, "synth", "Write data whose best possible AUC is known");
  AddSynthPlant(synth, commands);
  AddSynthTaobao(synth, commands);
}

}  // namespace trestle
