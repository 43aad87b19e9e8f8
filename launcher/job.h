// Job: one rank's part of a run, from agreed config to finished model. It builds the parts (tables,
// network, input), gives the rank its role and runs the passes; what is computed in a step is the
// trainer's (worker/trainer.h) and the servers' (ps/node.h).
//
// Collective: every method, by all ranks. Errors: agreed on by all ranks; Status::from_peer() is
// true on the ranks that only heard of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/bridge.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "base/thread_pool.h"
#include "comm/communicator.h"
#include "launcher/job_plan.h"
#include "launcher/model_store.h"
#include "launcher/run_lock.h"
#include "ps/node.h"
#include "worker/input.h"
#include "worker/progress.h"
#include "worker/run_log.h"
#include "worker/trainer.h"

namespace trestle {

class Job {
 public:
  Job(Communicator& comm, const LoadedConfig& loaded, FileSystem& fs, const Clock& clock);

  // Trains, evaluates after each epoch, saves the model, prints its digest. kInterrupted if it was
  // asked to stop: the model so far is then saved, as incomplete unless all epochs were done. A
  // failure after a whole epoch that leaves the ranks able to talk (bad test data) is returned
  // after the model was saved as well.
  Status Train();
  // Loads the model in `folder` (empty: <run folder>/model) and evaluates data.test.
  Status Evaluate(const std::string& folder);

 private:
  bool leads() const { return comm_.rank() == leader_; }
  const std::string& folder() const { return loaded_.config.checkpoint().dir(); }
  std::string model_folder() const { return folder() + "/model"; }

  // Agrees with the other ranks on everything and builds the parts.
  Status SetUp(const std::string& command);
  Status Check();  // config, build, instruction set: the same everywhere
  Status OpenInput(const std::string& command);
  Status ShareStatistics();
  Status TakeRunFolder(const std::string& command);
  Status OpenRunFolder(const std::string& command);
  Status BuildParts();
  void Greet(const std::string& command);
  Trainer MakeTrainer();
  Status TrainEpochs(Trainer& trainer);
  Status TrainEpoch(Trainer& trainer, int64_t epoch);
  Status CheckConfigOf(const ModelInfo& info) const;  // that it is a model of this config
  Status EvaluateTest(Trainer& trainer);
  Status RunRole();       // a worker's epochs or a server's part in them
  Status ShareOutcome();  // what dedicated servers learn of how far the training came
  Status Finish();        // digest, model, summary
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
  std::unique_ptr<Dataset> train_, test_;  // test_ null: none configured
  std::vector<NumericStatistics> statistics_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<DenseBackend> backend_;  // null on dedicated servers
  std::unique_ptr<RunLock> lock_;          // the leader's, while it trains
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<Progress> progress_;
  // What Finish reports.
  int64_t steps_ = 0;
  int64_t epochs_done_ = 0;
  bool stopped_ = false;
  RunLog::Fields last_metrics_;
};

}  // namespace trestle
