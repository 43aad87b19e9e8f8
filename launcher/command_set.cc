#include "launcher/command_set.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <utility>

#include "launcher/report_error.h"

namespace trestle {

CLI::App* CommandSet::Add(CLI::App* parent, const std::string& name, const std::string& what,
                          std::function<int()> run) {
  CLI::App* command = parent->add_subcommand(name, what);
  command->callback([this, run = std::move(run)] { run_ = run; });
  return command;
}

CLI::App* CommandSet::AddParent(CLI::App* parent, const std::string& name,
                                const std::string& what) {
  CLI::App* command = parent->add_subcommand(name, what);
  command->require_subcommand(1);
  return command;
}

void AddConfigArguments(CLI::App* command, ConfigArguments* arguments) {
  command->add_option("CONFIG", arguments->path, "config in protobuf text")->required();
  command
      ->add_option("--set", arguments->set,
                   "change a setting: --set batch.rows=1024, --set tables[cate_id].dim=64")
      ->type_name("PATH=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
}

int Finish(const Status& status) {
  if (!status.ok()) ReportError(status, std::cerr);
  return ExitCode(status.code());
}

}  // namespace trestle
