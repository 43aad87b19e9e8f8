#include "launcher/commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/nearest_name.h"
#include "launcher/checkpoint/commands.h"
#include "launcher/config.h"
#include "launcher/config_docs.h"
#include "launcher/doctor.h"
#include "launcher/init/init.h"
#include "launcher/job_plan.h"
#include "launcher/launch/launch.h"
#include "launcher/prepare/prepare_import.h"
#include "launcher/report_error.h"
#include "launcher/run.h"
#include "launcher/synth/plant.h"
#include "launcher/version.h"
#include "ps/checkpoint/store_filesystem.h"

namespace trestle {
namespace {

// What follows `trestle checkpoint`.
struct CheckpointArguments {
  std::string path;
  std::string other;   // diff's second
  std::string output;  // compact's folder
  bool json = false;
  bool config = false;
  bool all = false;
  ExportRequest to;
};

// What the command line said.
struct Arguments {
  std::string config;
  std::vector<std::string> set;
  std::string model;  // a checkpoint to evaluate
  StartOptions start;
  std::string doctor_dir = "runs";
  bool print = false;
  PlantSettings plant;
  std::string plant_dir;
  int threads = 0;  // 0: all cores
  CheckpointArguments checkpoint;
  LaunchArguments launch;
  ImportArguments import;
  InitArguments init;
};

// All ranks of a job get the same command line, so the first tells what is wrong with it.
bool FirstOfJob() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank == nullptr || std::string_view(rank) == "0";
}

// Prints an error, for commands that are not collective.
int Finish(const Status& status) {
  if (!status.ok()) ReportError(status, std::cerr);
  return ExitCode(status.code());
}

int CheckConfig(const Arguments& arguments) {
  const Result<LoadedConfig> config = LoadConfig(arguments.config, arguments.set);
  if (!config.ok()) return Finish(config.status());
  if (const Status parts = MakeJobPlan(*config).status(); !parts.ok()) return Finish(parts);
  if (arguments.print) {
    std::cout << Canonical(config->config);
  } else {
    std::cout << arguments.config << ": ok\n";
  }
  return ExitCode(StatusCode::kOk);
}

int RunDoctor(const Arguments& arguments) {
  const std::vector<Finding> findings = Examine(Machine::This(), arguments.doctor_dir);
  std::cout << FindingsText(findings);
  return ExitCode(HasProblem(findings) ? StatusCode::kUnsupported : StatusCode::kOk);
}

int SynthPlant(const Arguments& arguments) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  ThreadPool pool(arguments.threads > 0 ? arguments.threads : cores);
  const Result<PlantReport> report = WritePlant(arguments.plant, arguments.plant_dir, pool);
  if (!report.ok()) return Finish(report.status());
  std::cout << PlantReportText(*report, arguments.plant_dir);
  return ExitCode(StatusCode::kOk);
}

int RunImport(FileSystem& files, const Arguments& arguments) {
  const Result<LoadedConfig> config = LoadConfig(arguments.config, arguments.set);
  if (!config.ok()) return Finish(config.status());
  return Finish(PrepareImport(*config, arguments.import, files));
}

int DiffOf(FileSystem& files, const CheckpointArguments& arguments) {
  const Result<bool> same = DiffCommand(files, arguments.path, arguments.other, std::cout);
  if (!same.ok()) return Finish(same.status());
  return ExitCode(*same ? StatusCode::kOk : StatusCode::kMismatch);
}

int RunLaunch(FileSystem& files, Arguments arguments) {
  LaunchArguments& launch = arguments.launch;
  launch.config = arguments.config;
  launch.set = arguments.set;
  const StartOptions& start = arguments.start;
  if (start.next_segment) launch.train_flags.push_back("--next-segment");
  if (start.flags.allow_divergence) launch.train_flags.push_back("--allow-divergence");
  if (start.flags.allow_new) launch.train_flags.push_back("--allow-new");
  const auto options = PlanLaunch(launch, std::filesystem::read_symlink("/proc/self/exe").string());
  return options.ok() ? Launch(files, *options) : Finish(options.status());
}

RunOptions OptionsOf(const Arguments& arguments) {
  return {LoadConfig(arguments.config, arguments.set), arguments.start, arguments.model};
}

// The commands and their arguments. Each command stores what it does when it was the one given.
class CommandLine {
 public:
  CommandLine() : app_("Trestle trains click-through-rate models with sharded embedding tables.") {
    app_.name("trestle");
    app_.require_subcommand(1);
    app_.set_version_flag("--version", [] { return VersionText(); });
    app_.footer("Settings: `trestle config docs`. Exit codes: docs/errors.md.");
    AddInit();
    AddTrain();
    AddEval();
    AddLaunch();
    AddDoctor();
    AddConfig();
    AddSynth();
    AddPrepare();
    AddCheckpoint();
  }

  int Run(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& success) {
      return app_.exit(success, std::cout, std::cerr);  // --help, --version
    } catch (const CLI::ParseError& error) {
      if (FirstOfJob()) ReportError(UsageError(error), std::cerr);
      return ExitCode(StatusCode::kInvalidConfig);
    }
    return run_();
  }

 private:
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& what,
                std::function<int()> run) {
    CLI::App* command = parent->add_subcommand(name, what);
    command->callback([this, run] { run_ = run; });
    return command;
  }

  void AddConfigArguments(CLI::App* command) {
    command->add_option("CONFIG", arguments_.config, "config in protobuf text")->required();
    command
        ->add_option("--set", arguments_.set,
                     "change a setting: --set batch.rows=1024, --set tables[cate_id].dim=64")
        ->type_name("PATH=VALUE")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false);
  }

  void AddInit() {
    CLI::App* init =
        Add(&app_, "init", "Look at files and write a config that trains on them",
            [this] { return Finish(InitCommand(*files_, arguments_.init, std::cout)); });
    InitArguments& a = arguments_.init;
    init->add_option("FILES", a.files, "raw files, shell patterns allowed")->required();
    init->add_option("--label", a.label, "column to predict")->required()->expected(1);
    init->add_option("--output", a.output, "the config, default NAME.textproto of the first file")
        ->type_name("FILE");
    init->add_option("--group", a.group, "id that GAUC averages over, default one of users");
    init->add_option("--columns", a.columns,
                     "names of the columns of files without a header: a,b,c")
        ->delimiter(',')
        ->type_name("NAMES")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false);
    init->add_flag("--newlines", a.newlines, "quoted fields may go over several lines");
    init->add_flag("--force", a.force, "overwrite the config");
  }

  void AddTrain() {
    CLI::App* train = Add(&app_, "train",
                          "Train the model of a config, evaluate it, write it to the run's folder",
                          [this] { return ExitCode(RunTrain(OptionsOf(arguments_)).code()); });
    AddConfigArguments(train);
    StartOptions& start = arguments_.start;
    CLI::Option* resume =
        train
            ->add_option("--resume", start.resume,
                         "go on from a checkpoint: \"latest\" of the run, or begin if there is "
                         "none; or the folder of one")
            ->type_name("latest|DIR");
    train
        ->add_flag("--next-segment", start.next_segment,
                   "go on with new files in data.train once the checkpoint's are done")
        ->needs(resume);
    train
        ->add_flag("--allow-divergence", start.flags.allow_divergence,
                   "go on with other lanes, batch, order or instruction set; it is recorded")
        ->needs(resume);
    train
        ->add_flag("--allow-new", start.flags.allow_new,
                   "go on with more features, tables or layers, which start afresh")
        ->needs(resume);
    train->add_flag("--fresh", start.fresh, "start over in a folder that holds checkpoints")
        ->excludes(resume);
    train
        ->add_option("--warm-start", start.warm_start,
                     "tables of the same name, width and optimizer from another checkpoint")
        ->type_name("DIR")
        ->excludes(resume);
  }

  void AddEval() {
    CLI::App* eval = Add(&app_, "eval", "Evaluate a trained model on the config's test files",
                         [this] { return ExitCode(RunEval(OptionsOf(arguments_)).code()); });
    AddConfigArguments(eval);
    eval->add_option("--checkpoint", arguments_.model,
                     "a checkpoint or a run's folder, default the config's run")
        ->type_name("DIR");
  }

  void AddLaunch() {
    CLI::App* command =
        Add(&app_, "launch", "Train under mpirun; after a failure start again from a checkpoint",
            [this] { return RunLaunch(*files_, arguments_); });
    AddConfigArguments(command);
    LaunchArguments& launch = arguments_.launch;
    command->add_option("--np", launch.np, "ranks; default: as many as --hosts has slots")
        ->check(CLI::Range(1, 65536));
    command->add_option("--servers", launch.servers, "of them, ranks that only serve tables")
        ->check(CLI::Range(0, 65536));
    command->add_option("--hosts", launch.hosts, "hosts and their slots")->type_name("a:8,b:8");
    command->add_option("--restarts", launch.restarts, "restarts at most, in all")
        ->check(CLI::Range(0, 1'000'000))
        ->capture_default_str();
    command->add_option("--backoff", launch.backoff_s, "seconds before a restart, doubling to 60")
        ->check(CLI::Range(0.0, 86400.0))
        ->capture_default_str();
    StartOptions& start = arguments_.start;
    command->add_flag("--next-segment", start.next_segment, "as for `trestle train`");
    command->add_flag("--allow-divergence", start.flags.allow_divergence, "likewise");
    command->add_flag("--allow-new", start.flags.allow_new, "likewise");
    command->add_option("MPIRUN_ARGUMENTS", launch.mpirun, "after --: more arguments for mpirun");
  }

  void AddDoctor() {
    CLI::App* doctor = Add(&app_, "doctor", "Look at this machine for what would hurt a run",
                           [this] { return RunDoctor(arguments_); });
    doctor->add_option("DIR", arguments_.doctor_dir, "folder that runs are written to")
        ->capture_default_str();
  }

  void AddConfig() {
    CLI::App* config = app_.add_subcommand("config", "Check configs, show what can be set");
    config->require_subcommand(1);
    CLI::App* check = Add(config, "check", "Read and check a config, and say all that is wrong",
                          [this] { return CheckConfig(arguments_); });
    AddConfigArguments(check);
    Add(config, "docs", "Print docs/config.md: every setting, its default, range and meaning", [] {
      std::cout << ConfigDocs();
      return ExitCode(StatusCode::kOk);
    });
    check->add_flag("--print", arguments_.print, "print the effective config");
  }

  void AddSynth() {
    CLI::App* synth = app_.add_subcommand("synth", "Write data whose best possible AUC is known");
    synth->require_subcommand(1);
    CLI::App* plant =
        Add(synth, "plant", "Clicks that depend on what a history has in common with the candidate",
            [this] { return SynthPlant(arguments_); });
    PlantSettings& s = arguments_.plant;
    plant->add_option("DIR", arguments_.plant_dir, "folder for the Parquet files")->required();
    plant->add_option("--rows", s.rows, "rows, 90 % of them to train with")->capture_default_str();
    plant->add_option("--categories", s.categories, "categories, of 20 items each on average")
        ->capture_default_str();
    plant->add_option("--interests", s.interests, "categories a user likes")->capture_default_str();
    plant->add_option("--seed", s.seed, "other seeds, other data")->capture_default_str();
    plant->add_option("--threads", arguments_.threads, "the same bytes at any number")
        ->check(CLI::Range(1, 1024));
  }

  void AddPrepare() {
    CLI::App* prepare = app_.add_subcommand("prepare", "Make files that training reads");
    prepare->require_subcommand(1);
    CLI::App* import =
        Add(prepare, "import", "Import the text files of a config into its data.cache",
            [this] { return RunImport(*files_, arguments_); });
    AddConfigArguments(import);
    import->add_option("--threads", arguments_.import.threads, "the same bytes at any number")
        ->check(CLI::Range(1, 1024));
    import->add_option("--memory", arguments_.import.memory, "about the most to use")
        ->type_name("SIZE")
        ->capture_default_str();
    import->add_flag("--key-counts", arguments_.import.key_counts,
                     "count each table's keys into the cache's key-counts/TABLE.arrow");
  }

  void AddCheckpoint() {
    CLI::App* checkpoint = app_.add_subcommand(
        "checkpoint", "Look at checkpoints, check them, compare, export and compact them");
    checkpoint->require_subcommand(1);
    AddCheckpointReaders(checkpoint);
    AddCheckpointWriters(checkpoint);
    checkpoint->footer("DIR: a checkpoint; or a run or a folder of checkpoints, for its newest.");
  }

  CLI::App* AddOnCheckpoint(CLI::App* parent, const std::string& name, const std::string& what,
                            std::function<int()> run) {
    CLI::App* command = Add(parent, name, what, std::move(run));
    command
        ->add_option("DIR", arguments_.checkpoint.path,
                     "a checkpoint, or a run or folder of checkpoints: the newest complete one")
        ->required();
    return command;
  }

  void AddCheckpointReaders(CLI::App* parent) {
    CheckpointArguments& c = arguments_.checkpoint;
    FileSystem& fs = *files_;
    CLI::App* ls = Add(parent, "ls", "List the checkpoints of a run, newest first",
                       [&c, &fs] { return Finish(ListCommand(fs, c.path, c.json, std::cout)); });
    ls->add_option("DIR", c.path, "a run's folder, or a folder of checkpoints")->required();
    ls->add_flag("--json", c.json, "for machines");
    CLI::App* show = AddOnCheckpoint(parent, "show", "Tell what is in a checkpoint", [&c, &fs] {
      const ShowWhat what = c.config ? ShowWhat::kConfig
                            : c.json ? ShowWhat::kManifest
                                     : ShowWhat::kFacts;
      return Finish(ShowCommand(fs, c.path, what, std::cout));
    });
    show->add_flag("--config", c.config, "print the config it was trained with")
        ->excludes(show->add_flag("--json", c.json, "print the manifest"));
    CLI::App* verify = AddOnCheckpoint(
        parent, "verify", "Read every byte of a checkpoint and of its base; ends with 6 if bad",
        [&c, &fs] { return Finish(VerifyCommand(fs, c.path, c.all, std::cout)); });
    verify->add_flag("--all", c.all, "all complete checkpoints of the folder");
    AddOnCheckpoint(parent, "digest", "Verify a checkpoint and print the digest of its model",
                    [&c, &fs] { return Finish(DigestCommand(fs, c.path, std::cout)); });
    CLI::App* diff = Add(parent, "diff",
                         "Compare two checkpoints: ends with 0 if model and cursor are equal, bit "
                         "for bit, with 8 if not; lines of config are told but do not count",
                         [&c, &fs] { return DiffOf(fs, c); });
    diff->add_option("A", c.path, "a checkpoint, or a run")->required();
    diff->add_option("B", c.other, "another")->required();
  }

  void AddCheckpointWriters(CLI::App* parent) {
    CheckpointArguments& c = arguments_.checkpoint;
    FileSystem& fs = *files_;
    CLI::App* to = AddOnCheckpoint(parent, "export", "Write the tables for other tools", [&c, &fs] {
      return Finish(ExportCommand(fs, c.path, c.to, std::cout));
    });
    to->add_option("--format", c.to.format,
                   "parquet: DIR/TABLE.parquet; npy: DIR/TABLE/keys.npy and weights.npy; "
                   "safetensors: DIR/model.safetensors, with the dense tensors")
        ->required();
    to->add_option("--output", c.to.output, "folder to write to")->type_name("DIR")->required();
    to->add_option("--table", c.to.tables, "only this table, and no dense tensors; may be repeated")
        ->type_name("NAME")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false);
    to->add_flag("--force", c.to.force, "overwrite files");
    CLI::App* compact = AddOnCheckpoint(
        parent, "compact", "Write a delta and its base as one full checkpoint, under its own name",
        [&c, &fs] { return Finish(CompactCommand(fs, c.path, c.output, std::cout)); });
    compact
        ->add_option("--output", c.output,
                     "folder to write it to, not the run's own: names are not used twice there")
        ->type_name("DIR")
        ->required();
  }

  // The command that was being read when the line went wrong, and its name.
  const CLI::App* Innermost(std::string* name) const {
    const CLI::App* app = &app_;
    while (!app->get_subcommands().empty()) {
      app = app->get_subcommands().front();
      *name += app->get_name() + " ";
    }
    return app;
  }

  Status UsageError(const CLI::ParseError& error) const {
    std::string name;
    const CLI::App* app = Innermost(&name);
    const std::string cure = "See `trestle " + name + "--help`";
    if (!name.empty()) name.back() = ':', name += ' ';
    const std::vector<std::string> extras = app_.remaining(true);
    if (extras.empty()) {
      return {StatusCode::kInvalidConfig, name + error.what() + ". " + cure};
    }
    const std::string& extra = extras.front();
    const bool flag = extra.starts_with("-");
    const std::string bare = extra.substr(0, extra.find('='));
    std::vector<std::string> known;
    if (flag) {
      for (const CLI::Option* option : app->get_options()) {
        for (const std::string& one : option->get_lnames()) known.push_back("--" + one);
      }
    } else {
      for (const CLI::App* one : app->get_subcommands({})) known.push_back(one->get_name());
    }
    const char* what = flag            ? "unknown flag"
                       : known.empty() ? "unexpected argument"
                                       : "unknown command";
    return {StatusCode::kInvalidConfig,
            name + what + " \"" + bare + "\"" + Suggestion(bare, known) + cure};
  }

  const std::unique_ptr<FileSystem> files_ = MakeStoreFileSystem(FileSystem::Local());
  CLI::App app_;
  Arguments arguments_;
  std::function<int()> run_;
};

}  // namespace

int RunCommandLine(int argc, const char* const* argv) { return CommandLine().Run(argc, argv); }

}  // namespace trestle
