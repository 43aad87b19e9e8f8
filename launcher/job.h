// Job: one rank's part of a run, from agreed config to finished model. It builds the parts (tables,
// network, input), restores a checkpoint into them, gives the rank its role and runs the passes;
// what is computed in a step is the trainer's (worker/trainer.h) and the servers' (ps/node.h).
//
//   job.cc        the passes of train and eval, and their end
//   job_evaluate.cc  evaluations while it trains: early stopping, the best checkpoint
//   job_setup.cc  what comes before: agreement, input, folder, parts
//   job_start.cc  where training starts: at the beginning, or at a checkpoint
//   job_predict.cc  predictions to a file
//
// Collective: every method, by all ranks. Errors: agreed on by all ranks; Status::from_peer() is
// true on the ranks that only heard of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/bridge.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "base/thread_pool.h"
#include "comm/communicator.h"
#include "launcher/compatibility.h"
#include "launcher/job_plan.h"
#include "launcher/run_lock.h"
#include "launcher/temporary_cache.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "ps/checkpoint/checkpoint_writer.h"
#include "ps/node.h"
#include "worker/bucket_bounds.h"
#include "worker/early_stopping.h"
#include "worker/import/import.h"
#include "worker/input.h"
#include "worker/prediction_file.h"
#include "worker/progress.h"
#include "worker/run_log.h"
#include "worker/trainer.h"

namespace trestle {

// How `train` starts.
struct StartOptions {
  std::string resume;  // "": at the beginning; "latest"; or a checkpoint, their folder, or a run's
  // Go on with the new files of data.train once the checkpoint's are done; if it is in that segment
  // already, just go on.
  bool next_segment = false;
  bool fresh = false;  // at the beginning although the folder holds checkpoints
  ResumeFlags flags;
  std::string warm_start;  // tables of the same name and kind from this checkpoint
};

// What `predict` is asked for. Input: files or patterns, in the order of the output's rows.
struct PredictRequest {
  std::string checkpoint;  // as for Evaluate
  std::vector<std::string> input;
  std::string output;
  bool force = false;                // overwrite it
  std::vector<std::string> columns;  // empty: the row's number
  bool attention = false, embeddings = false;
  std::string bid, request;  // columns; empty: none
};

class Job {
 public:
  Job(Communicator& comm, const LoadedConfig& loaded, FileSystem& fs, const Clock& clock);

  // Trains, evaluates after each epoch and as train.eval_every_steps says, takes checkpoints, the
  // last one at the end, and prints the model's digest. kInterrupted if it was asked to stop, after
  // a checkpoint. A failure that leaves the ranks able to talk (bad data) is returned after a
  // checkpoint of what was trained.
  Status Train(const StartOptions& start);
  // Restores a checkpoint (empty: the newest of the run's folder; "best": its best one) and
  // evaluates all sets. With `importance` tells what each feature is worth to data.test as well
  // (worker/importance.h).
  Status Evaluate(const std::string& checkpoint, bool importance);
  // Restores a checkpoint likewise and writes a row of predictions for each row of the input.
  Status Predict(const PredictRequest& request);

 private:
  struct NamedSet {
    std::string name;
    const Dataset* data;
  };

  bool leads() const { return comm_.rank() == leader_; }
  const std::string& folder() const { return loaded_.config.checkpoint().dir(); }
  std::string checkpoints() const { return CheckpointsOf(loaded_.config); }

  // Agrees with the other ranks on everything and builds the parts.
  Status SetUp(const std::string& command);
  Status Check();  // config, build, instruction set: the same everywhere
  // The files that all ranks open; and whether they are imported ones.
  Status PrepareFiles(const Schema& schema, const Data& data, PrepareOptions options);
  Status OpenTests();
  // The checkpoint to evaluate or predict with: the first rank's choice.
  Result<std::string> FindModel(const std::string& checkpoint, const std::string& purpose);
  // In job_predict.cc.
  Status OpenPredictionInput(const PredictRequest& request);
  Status CheckShown(const PredictRequest& request) const;
  Result<std::string> MakeTemporaryCache(const PredictRequest& request,
                                         const std::vector<std::string>& untold);
  Status OpenOutput(const PredictRequest& request);
  Status RunPrediction(const PredictRequest& request);
  void TellPrediction(const std::string& checkpoint, const PredictRequest& request);
  std::string RejectStem(const PredictRequest& request) const;
  ModelOutputSpec Shown(const PredictRequest& request) const;
  Status OpenInput(const std::string& command);
  Status ShareStatistics();
  Status ShareBounds();
  Status TakeRunFolder(const std::string& command);
  Status OpenRunFolder(const std::string& command);
  Status BuildParts();
  void Greet(const std::string& command);

  // Checkpoints to try, the best first; the leader's choice, on all ranks.
  Result<std::vector<std::string>> FindStart(const StartOptions& start);
  // Builds the parts and fills them.
  Status Start(const StartOptions& start);
  Status FillParts(const StartOptions& start);
  std::string OfferGoodOnes(const std::string& damaged) const;
  Status Resume(const std::string& path, const StartOptions& start);
  Status WarmStart(const std::string& path);
  void BeginSegment();
  Status LoadModel(const std::string& path);  // for evaluation
  // Whether the checkpoint fits; then cursor_, ledger_ and facts_ are as it says.
  Status TakeOver(const Manifest& checkpoint, const StartOptions& start);
  Status CheckRestored(const Manifest& checkpoint, bool new_layers);  // digests
  Status CountAttempt();  // and check that all ranks see the leader's folder
  Manifest MakeFacts() const;
  void MakeCheckpoints();

  Trainer MakeTrainer(const std::string& reject_path);
  Trainer MakeTrainer();  // whose rejects are the run's
  Status TrainEpochs(Trainer& trainer);
  Result<PassResult> TrainEpoch(Trainer& trainer, int64_t epoch);
  void LogCosts(int64_t epoch, const PassResult& pass, const EpochProgress& done, double seconds);
  EpochPauses PausesOf(Trainer& trainer);
  bool OutOfTime() const;   // train.max_minutes, by the leader's clock
  bool AtLastStep() const;  // train.max_steps
  EpochProgress ProgressAtStart() const;
  int64_t StepsBeforeSegment() const;
  // After a step, on all ranks. `progress` is null on dedicated servers.
  Status AtBoundary(const AgreedHeader& header, int64_t epoch, const EpochProgress* progress);
  // What came of a checkpoint; `if_failed` is what follows then.
  void Tell(const CheckpointReport& report, const std::string& if_failed);
  void BeginEpoch(int64_t epoch);
  std::vector<NamedSet> Sets() const;  // to evaluate; none on dedicated servers
  bool HasSets() const;                // whether the config names any
  bool HasTest() const;                // whether it has test rows: data.test, or some held out
  EvaluationRecord NewRecord() const;
  void ResumeEvaluations();
  // Evaluates all sets.
  Status EvaluateSets(Trainer& trainer);
  void TellEvaluation(const std::string& set, int64_t step, const Evaluation& evaluation);
  // Likewise while it trains; if it counts, early stopping and the best checkpoint follow.
  Status EvaluateTraining(Trainer& trainer, bool counts);
  Status KeepBest();
  void TellBest(const CheckpointReport& last, RunLog::Fields* summary);
  Status TellImportance(Trainer& trainer);
  Status RunRole();       // a worker's epochs or a server's part in them
  Status ShareOutcome();  // what dedicated servers learn of how far the training came
  Result<CheckpointReport> LastCheckpoint();
  Status Finish();  // the last checkpoint, digest, summary
  // kInterrupted on all ranks if the leader was stopped.
  Status AgreeOnStop(const std::string& what);

  Communicator& comm_;
  const LoadedConfig& loaded_;
  FileSystem& fs_;
  const Clock& clock_;
  JobPlan plan_;
  std::string instruction_set_;
  std::string why_cpu_;  // of cluster.device AUTO, or empty
  Roles roles_;
  Rank leader_;      // lowest worker: prints, writes metrics.jsonl
  int worker_ = -1;  // index among the workers, -1: a dedicated server
  int threads_ = 1;
  int hosts_ = 1;  // of the job
  std::unique_ptr<ThreadPool> pool_;
  PreparedInput files_;
  bool imported_ = false;                             // they are the import's
  std::unique_ptr<Dataset> train_, test_;             // test_ null: none configured
  std::vector<std::unique_ptr<Dataset>> more_tests_;  // per Eval::set
  std::vector<NumericStatistics> statistics_;
  BucketBounds bounds_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<DenseBackend> backend_;          // null on dedicated servers
  std::optional<RunLock> lock_;                    // the leader's, while it trains
  std::unique_ptr<CheckpointWriter> checkpoints_;  // while it trains
  // While it predicts; the leader's.
  std::unique_ptr<TemporaryCache> temporary_;
  std::unique_ptr<PredictionFile> output_;
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<Progress> progress_;
  // Where training stands; sums of this worker alone where Trainer has them so.
  Cursor cursor_;
  PassResult last_pass_;  // the newest closed epoch
  int64_t attempt_ = 1;
  std::optional<Manifest> resumed_;  // of this run's folder
  int64_t complete_checkpoints_ = 0;
  std::vector<std::string> divergences_;
  std::vector<LedgerEntry> ledger_;
  int64_t failed_checkpoints_ = 0;
  // So far, of the resumed run's metric and files until the first that counts; its checkpoint is
  // the writer's.
  EvaluationRecord evaluations_;
  bool counted_ = false;  // an evaluation of this start did
  std::optional<EarlyStopping> stopping_;
  double monitored_ = 0;  // of the newest evaluation
  Clock::Duration training_since_{};
  Clock::Duration evaluating_{};  // spent on evaluations in this epoch
  bool ended_ = false;            // no more steps, though there may be more epochs
  bool finished_ = false;         // as far as it was asked for
  bool stopped_ = false;
  RunLog::Fields last_metrics_;
};

}  // namespace trestle
