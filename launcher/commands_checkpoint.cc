// `trestle checkpoint ...`.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "launcher/checkpoint/commands.h"
#include "launcher/command_set.h"

namespace trestle {
namespace {

struct Arguments {
  std::string path;
  std::string other;   // diff's second
  std::string output;  // compact's folder
  bool json = false;
  bool config = false;
  bool all = false;
  ExportRequest to;
};
using SharedArguments = std::shared_ptr<Arguments>;

int DiffOf(FileSystem& files, const Arguments& arguments) {
  const Result<bool> same = DiffCommand(files, arguments.path, arguments.other, std::cout);
  if (!same.ok()) return Finish(same.status());
  return ExitCode(*same ? StatusCode::kOk : StatusCode::kMismatch);
}

// A command on one checkpoint.
CLI::App* AddOn(const SharedArguments& c, CLI::App* parent, CommandSet* commands,
                const std::string& name, const std::string& what, std::function<int()> run) {
  CLI::App* command = commands->Add(parent, name, what, std::move(run));
  command
      ->add_option("DIR", c->path,
                   "a checkpoint, or a run or folder of checkpoints: the newest complete one")
      ->required();
  return command;
}

void AddReaders(const SharedArguments& c, CLI::App* parent, CommandSet* commands) {
  FileSystem& fs = commands->files();
  CLI::App* ls =
      commands->Add(parent, "ls", "List the checkpoints of a run, newest first",
                    [c, &fs] { return Finish(ListCommand(fs, c->path, c->json, std::cout)); });
  ls->add_option("DIR", c->path, "a run's folder, or a folder of checkpoints")->required();
  ls->add_flag("--json", c->json, "for machines");
  CLI::App* show = AddOn(c, parent, commands, "show", "Tell what is in a checkpoint", [c, &fs] {
    const ShowWhat what = c->config ? ShowWhat::kConfig
                          : c->json ? ShowWhat::kManifest
                                    : ShowWhat::kFacts;
    return Finish(ShowCommand(fs, c->path, what, std::cout));
  });
  show->add_flag("--config", c->config, "print the config it was trained with")
      ->excludes(show->add_flag("--json", c->json, "print the manifest"));
  CLI::App* verify =
      AddOn(c, parent, commands, "verify",
            "Read every byte of a checkpoint and of its base; ends with 6 if bad",
            [c, &fs] { return Finish(VerifyCommand(fs, c->path, c->all, std::cout)); });
  verify->add_flag("--all", c->all, "all complete checkpoints of the folder");
  AddOn(c, parent, commands, "digest", "Verify a checkpoint and print the digest of its model",
        [c, &fs] { return Finish(DigestCommand(fs, c->path, std::cout)); });
  CLI::App* diff =
      commands->Add(parent, "diff",
                    "Compare two checkpoints: ends with 0 if model and cursor are equal, bit "
                    "for bit, with 8 if not; lines of config are told but do not count",
                    [c, &fs] { return DiffOf(fs, *c); });
  diff->add_option("A", c->path, "a checkpoint, or a run")->required();
  diff->add_option("B", c->other, "another")->required();
}

void AddWriters(const SharedArguments& c, CLI::App* parent, CommandSet* commands) {
  FileSystem& fs = commands->files();
  CLI::App* to = AddOn(c, parent, commands, "export", "Write the tables for other tools",
                       [c, &fs] { return Finish(ExportCommand(fs, c->path, c->to, std::cout)); });
  to->add_option("--format", c->to.format,
                 "parquet: DIR/TABLE.parquet; npy: DIR/TABLE/keys.npy and weights.npy; "
                 "safetensors: DIR/model.safetensors, with the dense tensors")
      ->required();
  to->add_option("--output", c->to.output, "folder to write to")->type_name("DIR")->required();
  to->add_option("--table", c->to.tables, "only this table, and no dense tensors; may be repeated")
      ->type_name("NAME")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  to->add_flag("--force", c->to.force, "overwrite files");
  CLI::App* compact =
      AddOn(c, parent, commands, "compact",
            "Write a delta and its base as one full checkpoint, under its own name",
            [c, &fs] { return Finish(CompactCommand(fs, c->path, c->output, std::cout)); });
  compact
      ->add_option("--output", c->output,
                   "folder to write it to, not the run's own: names are not used twice there")
      ->type_name("DIR")
      ->required();
}

}  // namespace

void AddCheckpointCommands(CLI::App* app, CommandSet* commands) {
  CLI::App* checkpoint = commands->AddParent(
      app, "checkpoint", "Look at checkpoints, check them, compare, export and compact them");
  const auto arguments = std::make_shared<Arguments>();
  AddReaders(arguments, checkpoint, commands);
  AddWriters(arguments, checkpoint, commands);
  checkpoint->footer(
      "DIR: a checkpoint; or a run or a folder of checkpoints, for its newest; or RUN/best.");
}

}  // namespace trestle
