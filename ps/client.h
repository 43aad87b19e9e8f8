// Client: all that a worker knows of the parameter servers. A step's embeddings are one Lookup:
// keys go out, rows come back, gradients go out.
//
//   keys thread    Prepare   dedup per lane and per worker; counts, headers and keys to the
//   servers.
//                            Changes nothing on a server, so step t+1 is prepared while t computes.
//   main thread    Pull      servers create missing rows (training) and answer with rows
//                  Gather    a slot's rows as a [count, dim] matrix, per lane, on any thread
//                  Accumulate  a slot's gradient into its lane's sums, per lane, on any thread
//                  Push      verdict of the step, then gradients summed per key; servers step the
//                  optimizer
//
// Colocated and dedicated servers run the same exchange: a rank with nothing to ask or nothing to
// own sends nothing. With one rank rows are reached directly.
//
// Thread safety: Prepare on one thread, Pull and Push on one other, in the order of steps; Gather
// and Accumulate of different lanes concurrently. Collective: Prepare (stream kKeys), Pull and Push
// (kRows) by all ranks; dedicated servers take their part in Node::Serve. Errors: a failure of any
// rank is returned by all, in the same Prepare, Pull or Push. A worker whose Pull or Push failed
// has its keys thread call Prepare until that fails too: it ends there for all ranks' keys threads,
// some of which may be inside it already. A failed Client returns its failure again without a
// message. Steps prepared before a failed Prepare are still to be pulled and pushed. Source: the
// lookup protocol is docs/architecture.md, "The life of a step".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fixed_point.h"
#include "base/jagged.h"
#include "base/status.h"

namespace trestle {

enum class Action : int32_t {
  kTrain,     // pull creates, push follows
  kEvaluate,  // pull reads, no push
  kEndPass,   // no more steps in this pass (an epoch, an evaluation); no keys
  kStop,      // no more passes; servers leave Serve
  // Between two passes: all ranks take a checkpoint of where training stands, which `step` says
  // (ps/checkpoint/checkpoint_writer.h, KeepBest). No keys.
  kCheckpoint,
};

// What a rank says about checkpoints in every header (ps/checkpoint/checkpoint_writer.h). Counts
// and not flags: headers are prepared ahead, and a count that is behind the times says nothing.
struct CheckpointVotes {
  uint32_t wanted = 0;   // the newest checkpoint that should be begun
  uint32_t written = 0;  // the newest whose files are on disk, or have failed to get there
};

// What a worker says about its next step. All workers must say the same action and step.
struct StepHeader {
  Action action = Action::kTrain;
  int64_t step = 0;      // global training step, counted from 1; for evaluation its own count
  int64_t rows = 0;      // accepted rows of this worker's lanes
  int64_t rejected = 0;  // rows rejected so far by this worker (for max_bad_rows)
  bool stop_requested = false;  // Ctrl-C was seen here
  bool out_of_time = false;     // the time that training may take is over, by the clock here
  float lr_factor = 1;  // of the learning rates' schedule, in training
};

// What all ranks know after Prepare.
struct AgreedHeader {
  Action action = Action::kTrain;
  int64_t step = 0;
  int64_t rows = 0;                  // over all workers
  int64_t rejected = 0;              // over all workers
  bool stop_requested = false;       // anywhere
  bool out_of_time = false;          // anywhere
  CheckpointVotes checkpoints = {};  // wanted by any rank, written by all
  float lr_factor = 1;               // the first worker's: every rank steps with the same bits
};

// One lane's keys: a JaggedKeys for each slot, in the order of slots given to the client.
using LaneKeys = std::vector<JaggedKeys>;

class Lookup {
 public:
  virtual ~Lookup() = default;
  virtual const AgreedHeader& header() const = 0;
  virtual int64_t unique_keys() const = 0;  // of this worker, over all tables
  virtual int64_t occurrences() const = 0;  // of this worker
  // Of the unique keys, those whose rows are on other ranks.
  virtual int64_t remote_keys() const = 0;
  // What they need on the wire at the least in a training step, without compression: each key, its
  // row down and its gradient up, both as floats.
  virtual int64_t needed_bytes() const = 0;
  // After Pull of an evaluation: this worker's unique keys without a row, and their occurrences. A
  // key counts once a worker but an occurrence once anywhere: a share of occurrences(), summed over
  // the workers, does not depend on their number. In training both are 0.
  virtual int64_t unseen_keys() const = 0;
  virtual int64_t unseen_occurrences() const = 0;

  // Offsets of the slot's keys over the lane's rows, [rows + 1], as they were given to Prepare.
  virtual std::span<const int32_t> offsets(int lane, int slot) const = 0;
  // rows of the slot's keys, occurrence after occurrence: out [count, dim].
  virtual void Gather(int lane, int slot, float* out) const = 0;
  // Adds gradient [count, dim] to the lane's per-key sums, occurrence after occurrence.
  virtual void Accumulate(int lane, int slot, const float* gradient) = 0;
};

// What became of a pushed step: agreed on by all ranks.
struct PushOutcome {
  bool applied = false;  // false: some worker's step was bad and no row was updated
};

class Client {
 public:
  virtual ~Client() = default;
  // `local` is this rank's own failure, if any: a reader's, say. It reaches every rank.
  virtual Result<std::unique_ptr<Lookup>> Prepare(const StepHeader& header,
                                                  std::vector<LaneKeys> lanes,
                                                  const Status& local) = 0;
  virtual Status Pull(Lookup& lookup) = 0;
  // `bad`: a gradient of this worker is not finite or out of range (the client checks its own lane
  // sums as well); then no rank applies the step.
  virtual Result<PushOutcome> Push(Lookup& lookup, bool bad, const Status& local) = 0;
};

}  // namespace trestle
