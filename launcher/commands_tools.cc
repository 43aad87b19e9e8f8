// `trestle doctor` and `config`.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "comm/mpi_communicator.h"
#include "launcher/command_set.h"
#include "launcher/config.h"
#include "launcher/config_docs.h"
#include "launcher/doctor.h"
#include "launcher/doctor_cluster.h"
#include "launcher/job_plan.h"

namespace trestle {
namespace {

struct CheckArguments {
  ConfigArguments config;
  bool print = false;
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

int TellFindings(const std::vector<Finding>& findings) {
  std::cout << FindingsText(findings);
  return ExitCode(HasProblem(findings) ? StatusCode::kUnsupported : StatusCode::kOk);
}

int RunDoctor(const std::string& folder) {
  const Machine machine = Machine::This();
  if (!StartedUnderMpi()) return TellFindings(Examine(machine, folder));
  const auto comm = MakeMpiCommunicator();
  if (!comm.ok()) return Finish(comm.status());
  const auto findings = ExamineCluster(**comm, machine, folder);
  if (!findings.ok()) return Finish(findings.status());
  if ((*comm)->rank().value != 0) return ExitCode(StatusCode::kOk);
  return TellFindings(*findings);
}

void AddDoctor(CLI::App* app, CommandSet* commands) {
  const auto folder = std::make_shared<std::string>("runs");
  CLI::App* doctor =
      commands->Add(app, "doctor",
                    "Look at this machine, or under mpirun at all hosts, for what would hurt a run",
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

}  // namespace

void AddToolCommands(CLI::App* app, CommandSet* commands) {
  AddDoctor(app, commands);
  AddConfig(app, commands);
}

}  // namespace trestle
