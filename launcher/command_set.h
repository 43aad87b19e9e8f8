// CommandSet: the commands of the command line, each with what it does when it is the one given.
// Groups of commands (commands_*.cc) add themselves, and keep their arguments in what they do.
//
// Thread safety: the main thread. Ownership: the filesystem and CLI11's apps must outlive it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"

namespace CLI {
class App;
}

namespace trestle {

class CommandSet {
 public:
  explicit CommandSet(FileSystem& files) : files_(files) {}
  CommandSet(const CommandSet&) = delete;
  CommandSet& operator=(const CommandSet&) = delete;

  // A command below `parent`. `run` gives the exit code.
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& what,
                std::function<int()> run);
  // A command that has others below it, one of which must be given.
  CLI::App* AddParent(CLI::App* parent, const std::string& name, const std::string& what);

  FileSystem& files() const { return files_; }
  // Of the command that was given.
  int Run() const { return run_(); }

 private:
  FileSystem& files_;
  std::function<int()> run_;
};

// The groups.
void AddDataCommands(CLI::App* app, CommandSet* commands);        // init, prepare, synth
void AddTrainCommands(CLI::App* app, CommandSet* commands);       // train, eval, launch
void AddToolCommands(CLI::App* app, CommandSet* commands);        // doctor, config
void AddBenchCommands(CLI::App* app, CommandSet* commands);       // bench
void AddCheckpointCommands(CLI::App* app, CommandSet* commands);  // checkpoint

// What commands that read a config share.
struct ConfigArguments {
  std::string path;
  std::vector<std::string> set;
};
void AddConfigArguments(CLI::App* command, ConfigArguments* arguments);

// The exit code, after the error was printed if there is one. For commands that are not collective.
int Finish(const Status& status);

}  // namespace trestle
