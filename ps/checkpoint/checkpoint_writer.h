// CheckpointWriter: one rank's part in the checkpoints of a job. At a step boundary that all ranks
// agreed on it marks the tables (embedding/table.h, Snapshot), copies the dense side on the leader,
// and lets a thread of its own write while training goes on. When the files of all ranks are on
// disk, which every header tells, the ranks meet at a later boundary and the leader writes the
// MANIFEST. One checkpoint is in flight at a time; one that falls due meanwhile begins after it.
//
// The checkpoint of the best evaluation is taken between two steps (KeepBest); every manifest names
// it, and retention keeps what they name.
//
// A checkpoint that cannot be written (a full disk, no memory) fails alone: all ranks agree on it,
// what is half written is removed, training goes on. If it was the best one's, the best before it
// stays.
//
// Thread safety: Votes and Request by any thread; the rest by the main thread.
// Collective: AtBoundary, KeepBest and Finish by all ranks, at the same steps. Errors: only what
// breaks the job (kPeerFailed, kDeadlineExceeded); a failed checkpoint is told in the report.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/bridge.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "comm/communicator.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/manifest.pb.h"
#include "ps/node.h"

namespace trestle {

struct CheckpointPolicy {
  int64_t every_steps = 0;            // 0: not by steps
  std::chrono::nanoseconds every{0};  // 0: not by time
  Retention retention;
  int64_t snapshot_bytes = int64_t{1} << 30;  // a rank's SnapshotMemory
  // How long a step may wait for it before the checkpoint is given up; well below the deadline of
  // the ranks that wait for that step.
  std::chrono::nanoseconds patience = std::chrono::seconds(30);
  bool incremental = false;
  int full_every = 8;  // of incremental ones every n-th is full
};

// What came of a checkpoint, on all ranks; what is of all of them, the leader alone knows.
struct CheckpointReport {
  std::string name;
  int64_t step = 0;
  bool full = true;
  bool best = false;                // of the best evaluation
  int64_t rows = 0;                 // written, by all
  int64_t bytes = 0;                // of all files
  double seconds = 0;               // from the mark to the MANIFEST
  std::string digest;               // of the model at that step
  int64_t snapshot_peak_bytes = 0;  // held by the rank that held most
  double waited_seconds = 0;        // steps that waited for snapshot memory, of all ranks
  Status failure;                   // OK: it is complete
  Status cleanup;  // what should have gone but stays, and why: older ones, or a failed one
};

class RankPart;  // rank_part.proto

class CheckpointWriter {
 public:
  struct Options {
    std::string folder;  // RUN/checkpoints
    Rank leader;         // has a backend
    int64_t attempt = 1;
    int64_t complete_before = 0;  // Manifest::number of the checkpoint that was resumed
    CheckpointPolicy policy;
    // What every manifest says: program, config, inputs, run, numeric, divergences, ledger so far,
    // tables (their rows and digests are filled in). The leader's; empty on others.
    Manifest facts;
  };
  // All is borrowed. `backend` is null on ranks that do not work.
  CheckpointWriter(Communicator& comm, FileSystem& fs, const Clock& clock, Node& node,
                   DenseBackend* backend, Options options);
  ~CheckpointWriter();  // waits for the thread; what it wrote stays incomplete
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  CheckpointVotes Votes() const;
  // Asks for a checkpoint at the next boundary (SIGUSR1); on any rank.
  void Request() { requested_.store(true, std::memory_order_relaxed); }

  // An epoch was closed: for checkpoints that begin from now on. The leader's.
  void AddLedgerEntry(const LedgerEntry& entry) { *options_.facts.add_ledger() = entry; }

  // What the evaluations have come to: for checkpoints that begin from now on. Its `checkpoint` and
  // `digest` are the writer's to know; those of another metric or other files are forgotten. The
  // leader's.
  void SetEvaluations(EvaluationRecord record);
  const EvaluationRecord& evaluations() const { return options_.facts.evaluations(); }

  // After the step of `header`. `cursor` on workers: sums that the trainer has for this worker
  // alone (positives, rows read and rejected, ledger hash) are added up, the rest is the leader's.
  Result<std::optional<CheckpointReport>> AtBoundary(const AgreedHeader& header,
                                                     const Cursor& cursor);
  // Between two passes, after the evaluation at `cursor`: it is the best so far, so a checkpoint of
  // this step is taken, unless one was begun just now, and stays until a better one is complete.
  // Waits for one in flight of an earlier step, and returns what came of it.
  Result<std::optional<CheckpointReport>> KeepBest(const Cursor& cursor);
  // Waits for the one in flight, if any.
  Result<std::optional<CheckpointReport>> Drain();
  // After training, and after Drain: makes sure that the newest checkpoint stands at `cursor` with
  // `finished`. Where it stands there already only its manifest is written again, and the report's
  // bytes are 0.
  Result<CheckpointReport> Finish(const Cursor& cursor, bool finished);

 private:
  struct InFlight;
  // What a delta may stand on.
  struct Base {
    std::string name;
    int64_t step = 0;
  };

  bool Due() const;
  void Begin(const Cursor& cursor, bool finished);
  Status StartWriting(uint32_t number, InFlight* flight);
  Result<CheckpointReport> Complete();
  Status CleanUp(const CheckpointReport& report);
  Status MakeComplete(InFlight* flight, CheckpointReport* report);
  static Status ReadParts(const std::vector<std::string>& texts, std::vector<RankPart>* parts,
                          CheckpointReport* report);
  Status WriteManifestOfAll(const std::vector<RankPart>& parts, CheckpointReport* report);
  Status Restate(const Cursor& cursor, bool finished);
  bool leads() const { return comm_.rank() == options_.leader; }

  Communicator& comm_;
  FileSystem& fs_;
  const Clock& clock_;
  Node& node_;
  DenseBackend* const backend_;
  Options options_;

  std::atomic<bool> requested_{false};
  std::atomic<uint32_t> begun_{0};    // by this process, failed ones included
  std::atomic<uint32_t> written_{0};  // of them, those whose thread is done
  std::atomic<int64_t> last_begun_ns_;
  bool due_by_steps_ = false;
  int64_t complete_ = 0;  // Manifest::number of the newest
  int deltas_since_full_ = 0;
  std::optional<Manifest> newest_;  // complete one of this process; the leader has all of it
  std::optional<Base> base_;        // newest full one of this process
  std::unique_ptr<InFlight> in_flight_;
};

}  // namespace trestle
