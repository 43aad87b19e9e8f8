// JobKiller: strikes a training job under mpirun with SIGKILL, one of its ranks or mpirun itself,
// at a random moment: after some time, or when something happens in its folder of checkpoints (a
// start begins, a checkpoint's folder, shard, dense file or MANIFEST appears, an old one goes).
// Which moment and whom comes from a seed; how it falls with what the job does is up to the
// machine.
//
// Thread safety: one thread. Ownership: kills only processes below the Process given.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <set>
#include <string>

#include "tests/support/process.h"

namespace trestle {

class JobKiller {
 public:
  // `longest` bounds the moments that are just times: about what a whole undisturbed job takes.
  JobKiller(std::string checkpoints, std::chrono::milliseconds longest, uint64_t seed);

  // Waits for the moment, kills. False if the job ended before. `ranks` of the job.
  bool Strike(const Process& job, int ranks);
  // What the last strike was and what it left: "rank 1 at shard 2 + 3 ms; newest checkpoint
  // step-00000014.2 has 3 files and no manifest".
  const std::string& what() const { return what_; }

  int Random(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }

 private:
  enum class Moment { kTime, kAttempt, kFolder, kShard, kDense, kTemporary, kManifest, kRemoval };
  static constexpr int kMoments = 8;

  // Paths below the folder of checkpoints, and what the attempt file says.
  std::set<std::string> Look() const;
  // Whether the moment has come for the nth time since `before`. `seen` collects what there was.
  bool Came(Moment moment, int nth, const std::set<std::string>& before,
            std::set<std::string>* seen) const;
  std::string NewestCheckpoint() const;

  const std::string checkpoints_;
  const std::chrono::milliseconds longest_;
  std::mt19937_64 random_;
  std::string what_;
};

}  // namespace trestle
