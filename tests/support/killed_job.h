// A small training for tests that kill it: many short steps, a checkpoint every few, three epochs
// with an evaluation each, and what must be true of it at its end, whatever happened on the way.
//
// Thread safety: one thread. Errors: GoogleTest's expectations.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/small_job.h"

namespace trestle {

// How a start is made: ranks under mpirun, of them dedicated servers.
struct JobShape {
  int ranks = 1;
  int servers = 0;
};

class KilledJob {
 public:
  static constexpr int kEpochs = 3;

  KilledJob();

  // `trestle train` under mpirun, into the run's folder `run`.
  Command Train(const JobShape& shape, const std::string& run,
                const std::vector<std::string>& more = {}) const;
  // `trestle launch` of the same.
  Command Launch(const JobShape& shape, const std::string& run, int restarts,
                 const std::vector<std::string>& more = {}) const;

  std::string Folder(const std::string& run) const { return job_.dir().Join(run); }
  std::string Checkpoints(const std::string& run) const { return Folder(run) + "/checkpoints"; }
  // A training file of other rows, for another day.
  std::string WriteDay(int day) const {
    return job_.WriteRows("day" + std::to_string(day) + ".parquet", SmallJob::kRows, 17 * day);
  }
  void Forget(const std::string& run) const;  // removes its folder

 private:
  std::vector<std::string> Settings(const std::string& run) const;

  SmallJob job_;
  std::string config_;
};

// TRESTLE_KILL_SEED, or one that nobody chose. Print it: it replays what a test does.
uint64_t KillSeed();

// Expects that `run` ended as `undisturbed`, another run of the same job: finished, the same digest
// of all weights and optimizer state, the same ledger entries in the MANIFEST, and in metrics.jsonl
// every epoch that was closed, as often as it was, with the same rows and hash.
void ExpectSameEnd(const std::string& undisturbed_folder, const std::string& folder);

// Milliseconds that an undisturbed run of the command takes. Expects that it succeeds.
std::chrono::milliseconds TimeOf(const Command& command);

// Takes what killed mpiruns leave as children of this process, so that they can be waited for.
void AdoptOrphans();
// Waits until all of them have ended, by themselves. Call it while no Process lives.
void ExpectOrphansEnd();

}  // namespace trestle
