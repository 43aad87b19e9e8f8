// DedicatedServer: the life of a rank that only serves. Its keys thread takes part in every Prepare
// and hands the steps through a queue of kDepth to the calling thread, which pulls and pushes them.
//
// The queue may be shorter or longer than a worker's own read-ahead: the main thread waits for no
// step later than the one it is at, so a full queue only delays the keys.
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
  static constexpr size_t kDepth = 2;

  void PrepareSteps();
  Status ServeSteps();
  Status ServeStep(StepLookup& lookup);
  // Null at the end; the keys thread's failure, if any, is then in keys_status_.
  std::unique_ptr<StepLookup> Next();

  Exchange& exchange_;
  const std::function<Status(const AgreedHeader&)> at_boundary_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<StepLookup>> prepared_;
  Status keys_status_;
  bool keys_done_ = false;
  bool serving_ = true;  // false: the main thread has failed and takes no more steps
};

}  // namespace trestle
