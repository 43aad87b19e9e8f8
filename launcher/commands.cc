#include "launcher/commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/nearest_name.h"
#include "launcher/config.h"
#include "launcher/config_docs.h"
#include "launcher/doctor.h"
#include "launcher/job_plan.h"
#include "launcher/launch/launch.h"
#include "launcher/report_error.h"
#include "launcher/run.h"
#include "launcher/synth/plant.h"
#include "launcher/version.h"

namespace trestle {
namespace {

// What the command line said.
struct Arguments {
  std::string config;
  std::vector<std::string> set;
  std::string model_dir;
  std::string digest_dir;
  std::string doctor_dir = "runs";
  bool print = false;
  PlantSettings plant;
  std::string plant_dir;
  int threads = 0;  // 0: all cores
  LaunchArguments launch;
  bool next_segment = false;
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

int RunLaunch(Arguments arguments) {
  LaunchArguments& launch = arguments.launch;
  launch.config = arguments.config;
  launch.set = arguments.set;
  if (arguments.next_segment) launch.train_flags.push_back("--next-segment");
  const auto options = PlanLaunch(launch, std::filesystem::read_symlink("/proc/self/exe").string());
  return options.ok() ? Launch(FileSystem::Local(), *options) : Finish(options.status());
}

RunOptions OptionsOf(const Arguments& arguments) {
  return {LoadConfig(arguments.config, arguments.set), arguments.model_dir};
}

// The commands and their arguments. Each command stores what it does when it was the one given.
class CommandLine {
 public:
  CommandLine() : app_("Trestle trains click-through-rate models with sharded embedding tables.") {
    app_.name("trestle");
    app_.require_subcommand(1);
    app_.set_version_flag("--version", [] { return VersionText(); });
    app_.footer("Settings: `trestle config docs`. Exit codes: docs/errors.md.");
    AddTrain();
    AddEval();
    AddLaunch();
    AddDoctor();
    AddConfig();
    AddSynth();
    AddDigest();
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

  void AddTrain() {
    AddConfigArguments(Add(&app_, "train",
                           "Train the model of a config, evaluate it, write it to the run's folder",
                           [this] { return ExitCode(RunTrain(OptionsOf(arguments_)).code()); }));
  }

  void AddEval() {
    CLI::App* eval = Add(&app_, "eval", "Evaluate a trained model on the config's test files",
                         [this] { return ExitCode(RunEval(OptionsOf(arguments_)).code()); });
    AddConfigArguments(eval);
    eval->add_option("--model", arguments_.model_dir, "folder of the model, default RUN/model")
        ->type_name("DIR");
  }

  void AddLaunch() {
    CLI::App* command =
        Add(&app_, "launch", "Train under mpirun; after a failure start again from a checkpoint",
            [this] { return RunLaunch(arguments_); });
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
    command->add_flag("--next-segment", arguments_.next_segment, "as for `trestle train`");
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

  void AddDigest() {
    CLI::App* digest = Add(&app_, "digest", "Print the digest of a trained model",
                           [this] { return ExitCode(PrintDigest(arguments_.digest_dir).code()); });
    digest->add_option("DIR", arguments_.digest_dir, "folder of the model")->required();
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

  CLI::App app_;
  Arguments arguments_;
  std::function<int()> run_;
};

}  // namespace

int RunCommandLine(int argc, const char* const* argv) { return CommandLine().Run(argc, argv); }

}  // namespace trestle
