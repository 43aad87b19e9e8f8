// StepQueue: the keys thread of one pass. It reads the next step's rows, hands their keys to the
// client (dedup and key exchange) and queues what came of it: while the main thread computes step
// t, step t+1 is queued and t+2 may be under way. It never gets further.
//
// The thread ends by itself after the last step, which may be one that the caller names though the
// reader has more: nothing of the step behind it is read then, and another queue goes on with the
// same reader. It also ends when a stop was agreed on, or when any rank fails; it closes the pass
// with Action::kEndPass unless it failed. What it promises to the other ranks: every worker's
// thread sends the same sequence of headers.
//
// A main thread that fails in the middle of a pass must not just leave: the threads of others, and
// dedicated servers, wait for the next header. Abandon sends it, with the failure.
//
// Thread safety: Next and Abandon by one thread. Collective: a pass, by all workers. Bounds: kDepth
// steps queued; every wait is for the main thread, which takes or abandons, or is the client's.
#pragma once

#include <condition_variable>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "ps/client.h"
#include "worker/input.h"
#include "worker/lane_rows.h"

namespace trestle {

// A step ready to be computed.
struct PreparedStep {
  std::vector<LaneRows> lanes;  // slots moved to the lookup
  std::unique_ptr<Lookup> lookup;
  Ledger ledger;  // of this worker, this step included
};

class StepQueue {
 public:
  struct Options {
    Action action = Action::kTrain;
    int64_t first_step = 1;                  // number of the pass's first step
    int64_t max_bad_rows = 0;                // over all workers
    std::function<bool()> stop_requested;    // whether Ctrl-C was seen here; may be empty
    Ledger before = {};                      // of this worker, before the reader's first step
    std::function<bool()> out_of_time = {};  // whether the pass may take no longer; may be empty
    int64_t last_step = std::numeric_limits<int64_t>::max();  // the pass ends after it
    // Of a step, by its number; called by the thread. Empty: 1.
    std::function<float(int64_t)> lr_factor = {};
  };

  // Starts the thread. Borrows client and reader.
  StepQueue(Client& client, LaneReader& reader, Options options);
  ~StepQueue();
  StepQueue(const StepQueue&) = delete;
  StepQueue& operator=(const StepQueue&) = delete;

  // The next step, in order; nullopt at the end of the pass. A failure of any rank is returned by
  // all.
  Result<std::optional<PreparedStep>> Next();
  // The main thread of every worker has this failure, between two steps: the thread tells it with the
  // next header. The steps before that one come yet, and are still to be pulled, as servers expect;
  // then Next returns the failure, or the end, if there was no more header in this pass.
  void Fail(const Status& why);
  // The main thread failed, as it did on every worker: ends the thread, and tells the ranks that
  // wait for a next header, with one more Prepare unless one has failed already. The destructor
  // does it for a pass that was not read to its end. Nothing to do after the end.
  void Abandon(const Status& why);
  // After the end: whether the pass ended early because some rank was asked to stop.
  bool stopped() const { return stopped_; }
  // Likewise: because some rank's time was over.
  bool out_of_time() const { return out_of_time_; }

 private:
  void Run();
  Result<std::optional<PreparedStep>> Prepare(int64_t step, Status* local);
  Status TooManyBadRows(int64_t rejected) const;
  // False when the pass is abandoned.
  bool Push(Result<std::optional<PreparedStep>> item);

  Client& client_;
  LaneReader& reader_;
  const Options options_;
  bool stopped_ = false;      // written by the thread before the end is queued
  bool out_of_time_ = false;  // likewise
  bool failed_ = false;       // likewise; the client's Prepare has failed
  bool drained_ = false;      // Next returned the end or an error, or the pass was abandoned

  static constexpr size_t kDepth = 1;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Result<std::optional<PreparedStep>>> items_;
  bool abandoned_ = false;
  Status told_;  // to Fail
  std::thread thread_;
};

}  // namespace trestle
