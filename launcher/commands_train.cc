// `trestle train`, `eval`, `predict` and `launch`.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "launcher/command_set.h"
#include "launcher/config.h"
#include "launcher/launch/launch.h"
#include "launcher/run.h"

namespace trestle {
namespace {

struct TrainArguments {
  ConfigArguments config;
  StartOptions start;
};

struct EvalArguments {
  ConfigArguments config;
  std::string checkpoint;
  bool importance = false;
};

struct PredictArguments {
  ConfigArguments config;
  PredictRequest request;
};

RunOptions OptionsOf(const ConfigArguments& config) {
  return {LoadConfig(config.path, config.set), {}, {}, false, {}};
}

int TrainModel(const TrainArguments& arguments) {
  RunOptions options = OptionsOf(arguments.config);
  options.start = arguments.start;
  return ExitCode(RunTrain(options).code());
}

int EvaluateModel(const EvalArguments& arguments) {
  RunOptions options = OptionsOf(arguments.config);
  options.checkpoint = arguments.checkpoint;
  options.importance = arguments.importance;
  return ExitCode(RunEval(options).code());
}

int PredictWithModel(const PredictArguments& arguments) {
  RunOptions options = OptionsOf(arguments.config);
  options.predict = arguments.request;
  return ExitCode(RunPredict(options).code());
}

// `train` has the flags that are passed on to it.
int RunLaunch(FileSystem& files, LaunchArguments launch, const TrainArguments& train) {
  launch.config = train.config.path;
  launch.set = train.config.set;
  if (train.start.next_segment) launch.train_flags.push_back("--next-segment");
  if (train.start.flags.allow_divergence) launch.train_flags.push_back("--allow-divergence");
  if (train.start.flags.allow_new) launch.train_flags.push_back("--allow-new");
  const auto options = PlanLaunch(launch, std::filesystem::read_symlink("/proc/self/exe").string());
  return options.ok() ? Launch(files, *options) : Finish(options.status());
}

void AddTrain(CLI::App* app, CommandSet* commands) {
  const auto arguments = std::make_shared<TrainArguments>();
  CLI::App* train = commands->Add(
      app, "train", "Train the model of a config, evaluate it, write it to the run's folder",
      [arguments] { return TrainModel(*arguments); });
  AddConfigArguments(train, &arguments->config);
  StartOptions& start = arguments->start;
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

void AddEval(CLI::App* app, CommandSet* commands) {
  const auto arguments = std::make_shared<EvalArguments>();
  CLI::App* eval = commands->Add(app, "eval", "Evaluate a trained model on the config's test files",
                                 [arguments] { return EvaluateModel(*arguments); });
  AddConfigArguments(eval, &arguments->config);
  eval->add_option("--checkpoint", arguments->checkpoint,
                   "a checkpoint, or a run's folder for its newest one; \"best\", or RUN/best: of "
                   "the best evaluation; default the newest of the config's run")
      ->type_name("best|DIR");
  eval->add_flag("--importance", arguments->importance,
                 "the AUC that each feature is worth: what is lost when it is permuted among rows");
}

void AddPredict(CLI::App* app, CommandSet* commands) {
  const auto arguments = std::make_shared<PredictArguments>();
  CLI::App* predict = commands->Add(app, "predict", "Write a trained model's predictions to a file",
                                    [arguments] { return PredictWithModel(*arguments); });
  AddConfigArguments(predict, &arguments->config);
  PredictRequest& request = arguments->request;
  predict
      ->add_option("--checkpoint", request.checkpoint,
                   "a checkpoint, or a run's folder for its newest one; \"best\", or RUN/best: of "
                   "the best evaluation; default the newest of the config's run")
      ->type_name("best|DIR");
  predict->add_option("--input", request.input, "files like data.test's; a label is not needed")
      ->type_name("FILES")
      ->required();
  predict->add_option("--output", request.output, "a row for each of the input's, in its order")
      ->type_name("FILE.parquet|FILE.csv")
      ->required();
  predict->add_flag("--force", request.force, "overwrite the output");
  predict
      ->add_option("--columns", request.columns,
                   "columns of the input to go along, and \"row\", its number; default row")
      ->type_name("A,B")
      ->delimiter(',');
  predict->add_flag("--attention", request.attention, "the weight of each item of a history");
  predict->add_flag("--embeddings", request.embeddings, "what the network makes of the row");
  predict->add_option("--bid", request.bid, "column of bids: eCPM is 1000 * bid * prediction")
      ->type_name("COLUMN");
  predict
      ->add_option("--request", request.request,
                   "column of requests: the row's rank in its own, by eCPM or prediction")
      ->type_name("COLUMN");
}

void AddLaunch(CLI::App* app, CommandSet* commands) {
  const auto arguments = std::make_shared<LaunchArguments>();
  const auto train = std::make_shared<TrainArguments>();
  FileSystem& files = commands->files();
  CLI::App* command = commands->Add(
      app, "launch", "Train under mpirun; after a failure start again from a checkpoint",
      [arguments, train, &files] { return RunLaunch(files, *arguments, *train); });
  AddConfigArguments(command, &train->config);
  LaunchArguments& launch = *arguments;
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
  StartOptions& start = train->start;
  command->add_flag("--next-segment", start.next_segment, "as for `trestle train`");
  command->add_flag("--allow-divergence", start.flags.allow_divergence, "likewise");
  command->add_flag("--allow-new", start.flags.allow_new, "likewise");
  command->add_option("MPIRUN_ARGUMENTS", launch.mpirun, "after --: more arguments for mpirun");
}

}  // namespace

void AddTrainCommands(CLI::App* app, CommandSet* commands) {
  AddTrain(app, commands);
  AddEval(app, commands);
  AddPredict(app, commands);
  AddLaunch(app, commands);
}

}  // namespace trestle
