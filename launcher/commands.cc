#include "launcher/commands.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/nearest_name.h"
#include "launcher/command_set.h"
#include "launcher/report_error.h"
#include "launcher/version.h"
#include "ps/checkpoint/store_filesystem.h"

namespace trestle {
namespace {

// All ranks of a job get the same command line, so the first tells what is wrong with it.
bool FirstOfJob() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank == nullptr || std::string_view(rank) == "0";
}

class CommandLine {
 public:
  CommandLine() : app_("Trestle trains click-through-rate models with sharded embedding tables.") {
    app_.name("trestle");
    app_.require_subcommand(1);
    app_.set_version_flag("--version", [] { return VersionText(); });
    app_.footer("Settings: `trestle config docs`. Exit codes: docs/errors.md.");
    AddTrainCommands(&app_, &commands_);
    AddDataCommands(&app_, &commands_);
    AddToolCommands(&app_, &commands_);
    AddBenchCommands(&app_, &commands_);
    AddCheckpointCommands(&app_, &commands_);
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
    return commands_.Run();
  }

 private:
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
  CommandSet commands_{*files_};
  CLI::App app_;
};

}  // namespace

int RunCommandLine(int argc, const char* const* argv) { return CommandLine().Run(argc, argv); }

}  // namespace trestle
