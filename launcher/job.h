// Job: one rank's part of a run, from agreed config to finished model. It builds the parts (tables,
// network, input), restores a checkpoint into them, gives the rank its role and runs the passes;
// what is computed in a step is the trainer's (worker/trainer.h) and the servers' (ps/node.h).
//
//   job.cc        the passes of train and eval, and their end
//   job_setup.cc  what comes before: agreement, input, folder, parts
//   job_start.cc  where training starts: at the beginning, or at a checkpoint
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
#include "ps/checkpoint/checkpoint_reader.h"
#include "ps/checkpoint/checkpoint_writer.h"
#include "ps/node.h"
#include "worker/bucket_bounds.h"
#include "worker/import/import.h"
#include "worker/input.h"
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

class Job {
 public:
  Job(Communicator& comm, const LoadedConfig& loaded, FileSystem& fs, const Clock& clock);

  // Trains, evaluates after each epoch, takes checkpoints, the last one at the end, and prints the
  // model's digest. kInterrupted if it was asked to stop, after a checkpoint. A failure that leaves
  // the ranks able to talk (bad data) is returned after a checkpoint of what was trained.
  Status Train(const StartOptions& start);
  // Restores a checkpoint (empty: the newest of the run's folder) and evaluates data.test.
  Status Evaluate(const std::string& checkpoint);

 private:
  bool leads() const { return comm_.rank() == leader_; }
  const std::string& folder() const { return loaded_.config.checkpoint().dir(); }
  std::string checkpoints() const { return CheckpointsOf(loaded_.config); }

  // Agrees with the other ranks on everything and builds the parts.
  Status SetUp(const std::string& command);
  Status Check();  // config, build, instruction set: the same everywhere
  Status PrepareFiles(const std::string& command);
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

  Trainer MakeTrainer();
  Status TrainEpochs(Trainer& trainer);
  Status TrainEpoch(Trainer& trainer, int64_t epoch);
  EpochProgress ProgressAtStart() const;
  // After a step, on all ranks. `progress` is null on dedicated servers.
  Status AtBoundary(const AgreedHeader& header, int64_t epoch, const EpochProgress* progress);
  // What came of a checkpoint; `if_failed` is what follows then.
  void Tell(const CheckpointReport& report, const std::string& if_failed);
  void BeginEpoch(int64_t epoch);
  Status EvaluateTest(Trainer& trainer);
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
  Roles roles_;
  Rank leader_;      // lowest worker: prints, writes metrics.jsonl
  int worker_ = -1;  // index among the workers, -1: a dedicated server
  int threads_ = 1;
  std::unique_ptr<ThreadPool> pool_;
  PreparedInput files_;
  std::unique_ptr<Dataset> train_, test_;  // test_ null: none configured
  std::vector<NumericStatistics> statistics_;
  BucketBounds bounds_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<DenseBackend> backend_;          // null on dedicated servers
  std::optional<RunLock> lock_;                    // the leader's, while it trains
  std::unique_ptr<CheckpointWriter> checkpoints_;  // while it trains
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
  bool finished_ = false;  // all epochs are done
  bool stopped_ = false;
  RunLog::Fields last_metrics_;
};

}  // namespace trestle
