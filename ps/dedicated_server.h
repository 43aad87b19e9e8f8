// DedicatedServer: the life of a rank that only serves. Its keys thread takes part in every Prepare
// and hands the steps through a queue of kDepth to the calling thread, which pulls and pushes them.
//
// It reads ahead exactly as far as a worker's StepQueue: while all main threads are at a step
// boundary (a checkpoint is completed), no keys thread then waits for another's next Prepare, and
// no deadline runs. At kCheckpoint, when the workers have no keys thread, it waits for its main
// thread.
//
// Thread safety: one caller. Collective: with the workers' steps.
// Errors: any rank's failure; both threads have ended when Run returns.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "ps/exchange.h"

namespace trestle {

class DedicatedServer {
 public:
  // at_boundary: see NodeOptions; may be empty.
  DedicatedServer(Exchange& exchange, std::function<Status(const AgreedHeader&)> at_boundary)
      : exchange_(exchange), at_boundary_(std::move(at_boundary)) {}

  // Until the workers say kStop.
  Status Run();

 private:
  static constexpr size_t kDepth = 1;

  void PrepareSteps();
  Status ServeSteps();
  Status ServeStep(StepLookup& lookup);
  Status ServeCheckpoint(const AgreedHeader& header);
  // Null at the end; the keys thread's failure, if any, is then in keys_status_.
  std::unique_ptr<StepLookup> Next();

  Exchange& exchange_;
  const std::function<Status(const AgreedHeader&)> at_boundary_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<StepLookup>> prepared_;
  Status keys_status_;
  bool keys_done_ = false;
  bool serving_ = true;         // false: the main thread has failed and takes no more steps
  bool at_checkpoint_ = false;  // the main thread has, or is about to get, a kCheckpoint
};

}  // namespace trestle
