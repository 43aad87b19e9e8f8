#include "worker/step_queue.h"

#include <utility>

#include "base/thread_pool.h"

namespace trestle {

StepQueue::StepQueue(Client& client, LaneReader& reader, Options options)
    : client_(client), reader_(reader), options_(options), thread_([this] { Run(); }) {}

StepQueue::~StepQueue() {
  if (!drained_) Abandon({StatusCode::kInternal, "the step before this one failed"});
  if (thread_.joinable()) thread_.join();
}

// Successful Prepares are collective, so every rank's thread stops after the same number of them;
// the one after it fails everywhere, whether a rank was inside it already or comes here for it.
void StepQueue::Abandon(const Status& why) {
  if (std::exchange(drained_, true)) return;
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (failed_) return;
  StepHeader header;
  header.action = Action::kEndPass;
  (void)client_.Prepare(header, {}, why);  // fails, with this or with what another rank has
}

void StepQueue::Fail(const Status& why) {
  std::lock_guard lock(mutex_);
  told_ = why;
}

Result<std::optional<PreparedStep>> StepQueue::Next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !items_.empty(); });
  auto item = std::move(items_.front());
  // The end of the pass and errors stay, so that another Next sees them too.
  const bool last = !item.ok() || !item->has_value();
  if (last) {
    drained_ = true;
    items_.front() = item.ok() ? Result<std::optional<PreparedStep>>(std::nullopt)
                               : Result<std::optional<PreparedStep>>(item.status());
  } else {
    items_.erase(items_.begin());
  }
  changed_.notify_all();
  return item;
}

bool StepQueue::Push(Result<std::optional<PreparedStep>> item) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return items_.size() < kDepth || abandoned_; });
  if (abandoned_) return false;
  items_.push_back(std::move(item));
  changed_.notify_all();
  return true;
}

void StepQueue::Run() {
  UseOneOpenMpThread();
  GiveWayToComputation();
  Status local;  // a failure to tell the others with the next header
  for (int64_t step = options_.first_step;; ++step) {
    auto prepared = Prepare(step, &local);
    failed_ = !prepared.ok();
    const bool last = failed_ || !prepared->has_value();
    if (!Push(std::move(prepared)) || last) return;
  }
}

Result<std::optional<PreparedStep>> StepQueue::Prepare(int64_t step, Status* local) {
  StepHeader header;
  header.step = step;
  header.action = Action::kEndPass;
  PreparedStep prepared;
  std::vector<LaneKeys> keys;
  if (local->ok()) {
    std::lock_guard lock(mutex_);
    *local = told_;
  }
  if (local->ok() && !stopped_ && !out_of_time_ && step <= options_.last_step) {
    auto rows = reader_.Next();
    if (!rows.ok()) {
      *local = rows.status();
    } else if (rows->has_value()) {
      header.action = options_.action;
      if (options_.lr_factor) header.lr_factor = options_.lr_factor(step);
      prepared.lanes = *std::move(*rows);
    }
  }
  for (LaneRows& lane : prepared.lanes) {
    header.rows += lane.rows;
    keys.push_back(std::move(lane.slots));
  }
  prepared.ledger = options_.before;
  prepared.ledger.read += reader_.ledger().read;
  prepared.ledger.rejected += reader_.ledger().rejected;
  prepared.ledger.hash += reader_.ledger().hash;
  prepared.ledger.left_out += reader_.ledger().left_out;
  header.rejected = prepared.ledger.rejected;
  header.stop_requested = options_.stop_requested && options_.stop_requested();
  header.out_of_time = options_.out_of_time && options_.out_of_time();

  auto lookup = client_.Prepare(header, std::move(keys), *local);
  if (!lookup.ok()) return lookup.status();
  const AgreedHeader& agreed = (*lookup)->header();
  const bool too_many = agreed.rejected > options_.max_bad_rows;
  if (too_many && prepared.ledger.rejected > 0) *local = TooManyBadRows(agreed.rejected);
  if (agreed.out_of_time) out_of_time_ = true;
  if (agreed.action == Action::kEndPass) {
    if (!too_many) return std::optional<PreparedStep>();
    // Seen with the last header of the pass: one more tells every rank.
    auto told = client_.Prepare(header, {}, *local);
    return told.ok() ? Status(StatusCode::kInternal, "no rank names the rejected rows")
                     : told.status();
  }
  if (agreed.stop_requested) stopped_ = true;
  prepared.lookup = *std::move(lookup);
  return std::optional<PreparedStep>(std::move(prepared));
}

// All workers see the count; those that met a bad row say which, and the lowest of them is heard.
Status StepQueue::TooManyBadRows(int64_t rejected) const {
  const std::string& here = reader_.first_reject();
  return {StatusCode::kInvalidData,
          (here.empty() ? "rejected before this start" : here) + " (" + std::to_string(rejected) +
              " bad rows; data.max_bad_rows allows " + std::to_string(options_.max_bad_rows) + ")"};
}

}  // namespace trestle
