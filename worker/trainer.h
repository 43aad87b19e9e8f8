// Trainer: a worker's loop. It owns no table and no network: rows come through the Client, the
// dense step runs behind the bridge, and what is summed over workers goes over the stream kDense.
//
// A step: Pull, then every lane (gather, forward, backward, accumulate) on the pool's threads, then
// the all-reduce of dense sums, Push, and the dense optimizer. Its bits depend on the config alone.
//
// Thread safety: one caller. Collective: every method, by all workers (dedicated servers are in
// Serve). Errors: those of any rank, returned by all ranks, dedicated servers included; kNumeric
// for a bad step under on_bad_step STOP. A stop asked for is no error: it ends the pass early and
// is reported in PassResult. Source: docs/architecture.md, "The life of a step".
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backend/bridge.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "base/thread_pool.h"
#include "comm/communicator.h"
#include "ps/client.h"
#include "worker/evaluation_visitor.h"
#include "worker/importance.h"
#include "worker/input.h"
#include "worker/lr_schedule.h"
#include "worker/metrics.h"
#include "worker/progress.h"
#include "worker/slice_metrics.h"
#include "worker/step_costs.h"
#include "worker/step_queue.h"
#include "worker/train.pb.h"

namespace trestle {

// How far an epoch is. Sums over the steps that were done: of all workers, or, where it says so, of
// this one alone; a resumed epoch's are restored on the first worker, so that they add up.
struct EpochProgress {
  int64_t steps = 0;
  int64_t skipped_steps = 0;  // bad ones under SKIP
  int64_t rows = 0;           // accepted
  int64_t applied_rows = 0;   // of them, in steps that were applied
  double loss_sum = 0;        // over the applied ones
  int64_t positives = 0;      // of this worker's accepted rows, with label 1
  Ledger ledger;              // of this worker's lanes
};

// Between two training steps: nothing changes until at_boundary returns.
struct StepBoundary {
  const AgreedHeader& header;  // of the step that was done
  int64_t epoch = 0;
  const EpochProgress& progress;
};

// Between two training steps and two passes: `step` training steps are done, nothing of the next
// one was read, and another pass (an evaluation) may run.
struct EpochPauses {
  int64_t every_steps = 0;  // after each training step that it divides; 0: never
  int64_t last_step = std::numeric_limits<int64_t>::max();  // the epoch ends early after it
  // On all workers, with one result; false: the epoch ends early.
  std::function<Result<bool>(int64_t step)> at_pause = {};
};

struct TrainerOptions {
  int worker = 0;  // index of this worker and number of workers
  int workers = 1;
  int64_t batch_rows = 4096;
  int lanes = 16;
  uint64_t seed = 0;
  int64_t max_bad_rows = 0;
  Order order = SHUFFLE;
  Train::OnBadStep on_bad_step = Train::STOP;  // as NodeOptions::fail_bad_steps: STOP = true
  std::vector<NumericStatistics> statistics;
  std::vector<std::vector<double>> bounds;  // of Schema::buckets
  double negative_keep = 1;                 // share of the rows of label 0 that are trained on
  std::string
      reject_path;  // gets the rejects of a dataset's first pass; the later ones repeat them
  std::function<bool()> stop_requested;  // polled once a step
  std::function<bool()> out_of_time;     // polled once a training step: whether to train no more
  int64_t segment = 0;
  int64_t steps_done = 0;  // training steps before the first of this trainer (a resumed run)
  LrSchedule schedule;
  int64_t steps_before_segment = 0;  // training steps before the first of this segment
  std::vector<Rank> dedicated_servers;    // for StepCosts
  const Clock* clock = &Clock::System();  // likewise
  // Called after every training step; may be empty. A failure must be one that all ranks have.
  std::function<Status(const StepBoundary&)> at_boundary;
};

// What a pass over a dataset did, over all workers.
struct PassResult {
  int64_t steps = 0;
  int64_t skipped_steps = 0;  // bad ones under SKIP
  int64_t rows = 0;           // accepted
  int64_t positives = 0;      // of them, with label 1
  double loss = 0;            // mean training loss, over the steps that were applied
  Ledger ledger;
  // Of an evaluation's pass: occurrences of ids, and of those that training never saw.
  int64_t ids = 0;
  int64_t unseen_ids = 0;
  double unseen_share() const {
    return ids ? static_cast<double>(unseen_ids) / static_cast<double>(ids) : 0;
  }
  StepCosts costs;           // of training steps of this start
  bool complete = true;      // every row was read; else the ledger is partial
  bool stopped = false;      // incomplete, on request
  bool out_of_time = false;  // incomplete, for no other reason
};

struct Evaluation {
  Metrics metrics;
  std::vector<SlicedColumn> slices;  // of Schema::slices; the first worker's, empty on others
  PassResult pass;
};

class Trainer {
 public:
  Trainer(Client& client, DenseBackend& backend, Communicator& comm, ThreadPool& pool,
          Progress& progress, FileSystem& fs, TrainerOptions options);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // One epoch, or the rest of one that `done` of it was trained before; its ledger is checked
  // against the dataset if it is complete. It pauses first where `done` ends at such a step.
  Result<PassResult> TrainEpoch(const Dataset& dataset, int64_t epoch, int64_t epochs,
                                const EpochProgress& done = {}, const EpochPauses& pauses = {});
  Result<Evaluation> Evaluate(const Dataset& dataset, const std::string& name);
  // The pass of an evaluation for other ends: all rows go through the network, in that order, and
  // the visitor sees what came of them. Of a dataset without a label, labels are not checked.
  Result<PassResult> Visit(const Dataset& dataset, const std::string& name, Order order,
                           EvaluationVisitor& visitor);
  // importance.h; none if it was stopped.
  Result<std::optional<Importance>> MeasureImportance(const Dataset& dataset, const std::string& name);
  // Between two passes: has dedicated servers call their at_boundary with kCheckpoint. All workers
  // take their part in that checkpoint next.
  Status AnnounceCheckpoint();
  // Tells the servers that nothing more comes. Once, at the end.
  Status Stop();

  int64_t step() const { return step_; }  // training steps done
  // Compares the replicas' dense parameters; kMismatch names a rank that differs.
  Status CompareReplicas();

 private:
  struct LaneBuffers;  // a thread's tensors of the lane it works on

  Result<std::unique_ptr<LaneReader>> OpenReader(const Dataset& dataset, Order order,
                                                 int64_t segment, int64_t epoch, int64_t first_step,
                                                 double negative_keep);
  // The steps of an epoch up to a pause, or to its end, which the result tells.
  Status TrainToPause(LaneReader& reader, int64_t epoch, int64_t epochs, const Ledger& before,
                      const EpochPauses& pauses, EpochProgress* progress, PassResult* result);
  int64_t RunSteps(int64_t epochs, const LaneReader& reader, const EpochPauses& pauses) const;
  std::function<float(int64_t)> LrFactors(int64_t epoch, int64_t run_steps) const;
  // The steps of a pass, until the queue ends or any rank fails.
  Status TrainSteps(StepQueue& queue, int64_t epoch, EpochProgress* progress, StepCosts* costs);
  Status VisitSteps(StepQueue& queue, EvaluationVisitor& visitor, PassResult* result,
                    int64_t* positives);
  Status TrainStep(PreparedStep& prepared, EpochProgress* progress, PhaseTimer* timer);
  // In evaluation there is a visitor, which is shown each lane; in training there is none.
  void RunLanes(PreparedStep& prepared, EvaluationVisitor* visitor);
  void RunLane(PreparedStep& prepared, int lane, int thread, EvaluationVisitor* visitor);
  void Predict(int thread, LanePosition position, LaneTensors& lane);
  void FillTensors(PreparedStep& prepared, int lane, bool training, LaneBuffers* buffers);
  Status CompareDigests();
  Status CheckTerms() const;
  // Sums the ledger and the positives over the workers and checks them, if the pass is complete.
  Status ClosePass(const Dataset& dataset, const Ledger& ledger, int64_t positives,
                   PassResult* result);
  // Between passes: tells all ranks of a failure that some or all workers have but the servers do
  // not know of. The others are at the next header, or are about to be.
  Status Tell(const Status& failure);
  // A header without rows, which every rank waits for between passes.
  Status Announce(Action action, const Status& failure);

  Client& client_;
  DenseBackend& backend_;
  Communicator& comm_;
  ThreadPool& pool_;
  Progress& progress_;
  FileSystem& fs_;
  const TrainerOptions options_;
  const int first_lane_;
  const int end_lane_;
  int64_t step_ = 0;
  std::vector<std::unique_ptr<LaneBuffers>> buffers_;  // a thread each
  std::vector<std::vector<float>> logits_;             // a lane of this worker each
  const Schema* schema_ = nullptr;                     // of the dataset of the pass
  std::set<const Dataset*> recorded_;                  // whose rejects are in the file
};

}  // namespace trestle
