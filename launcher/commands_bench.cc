// `trestle bench`.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "launcher/bench/scaling.h"
#include "launcher/command_set.h"

namespace trestle {
namespace {

int RunScaling(FileSystem& files, ScalingArguments scaling, const ConfigArguments& config) {
  scaling.config = config.path;
  scaling.set = config.set;
  return BenchScaling(files, scaling, std::filesystem::read_symlink("/proc/self/exe").string());
}

void AddScaling(CLI::App* bench, CommandSet* commands) {
  const auto scaling = std::make_shared<ScalingArguments>();
  const auto config = std::make_shared<ConfigArguments>();
  FileSystem& files = commands->files();
  CLI::App* command = commands->Add(
      bench, "scaling", "Train at several sizes under mpirun: how speed grows, and what limits it",
      [scaling, config, &files] { return RunScaling(files, *scaling, *config); });
  AddConfigArguments(command, config.get());
  command->add_option("--np", scaling->np, "ranks of each size")
      ->type_name("1,2,4")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 65536))
      ->required();
  command->add_option("--hosts", scaling->hosts, "mpirun's hostfile, a line \"HOST slots=N\" each")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->add_flag("--weak", scaling->weak,
                    "rows grow with the ranks: a rank has the same work at every size");
  command
      ->add_option("--output", scaling->output,
                   "folder of scaling.json, scaling.svg and the runs, seen by all hosts; default "
                   "that of the config's run with \"-scaling\"")
      ->type_name("DIR");
  command->add_option("MPIRUN_ARGUMENTS", scaling->mpirun, "after --: more arguments for mpirun")
      ->check([first = true](const std::string& text) mutable {
        const bool option = !first || text.starts_with("-");
        first = false;
        return option ? "" : text + " is none: give mpirun's options after --";
      });
}

}  // namespace

void AddBenchCommands(CLI::App* app, CommandSet* commands) {
  AddScaling(commands->AddParent(app, "bench", "Measure"), commands);
}

}  // namespace trestle
