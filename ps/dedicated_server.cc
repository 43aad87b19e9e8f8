#include "ps/dedicated_server.h"

#include <thread>
#include <utility>

#include "base/thread_pool.h"

namespace trestle {

Status DedicatedServer::Run() {
  std::thread keys([this] {
    UseOneOpenMpThread();
    PrepareSteps();
  });
  const Status served = ServeSteps();
  {
    std::lock_guard lock(mutex_);
    serving_ = false;
    prepared_.clear();
  }
  changed_.notify_all();
  keys.join();
  return served.ok() ? keys_status_ : served;
}

// Goes on after the main thread's failure until a Prepare returns it: the other ranks' keys threads
// may be inside one already, and it ends there for all.
void DedicatedServer::PrepareSteps() {
  while (true) {
    auto lookup = exchange_.Prepare(nullptr, {}, Status());
    std::unique_lock lock(mutex_);
    if (!lookup.ok()) keys_status_ = lookup.status();
    keys_done_ = !lookup.ok() || (*lookup)->header().action == Action::kStop;
    at_checkpoint_ = lookup.ok() && (*lookup)->header().action == Action::kCheckpoint;
    if (lookup.ok() && ((*lookup)->step().has_keys() || at_checkpoint_)) {
      changed_.wait(lock, [this] { return prepared_.size() < kDepth || !serving_; });
      if (serving_) prepared_.push_back(*std::move(lookup));
    }
    changed_.notify_all();
    changed_.wait(lock, [this] { return !at_checkpoint_ || !serving_; });
    if (keys_done_) return;
  }
}

Status DedicatedServer::ServeSteps() {
  while (std::unique_ptr<StepLookup> lookup = Next()) {
    if (lookup->header().action == Action::kCheckpoint) {
      TRESTLE_RETURN_IF_ERROR(ServeCheckpoint(lookup->header()));
    } else {
      TRESTLE_RETURN_IF_ERROR(ServeStep(*lookup));
    }
  }
  return {};
}

Status DedicatedServer::ServeCheckpoint(const AgreedHeader& header) {
  if (at_boundary_) TRESTLE_RETURN_IF_ERROR(at_boundary_(header));
  std::lock_guard lock(mutex_);
  at_checkpoint_ = false;
  changed_.notify_all();
  return {};
}

Status DedicatedServer::ServeStep(StepLookup& lookup) {
  TRESTLE_RETURN_IF_ERROR(exchange_.Pull(lookup));
  if (lookup.header().action != Action::kTrain) return {};
  TRESTLE_RETURN_IF_ERROR(exchange_.Push(lookup, /*bad=*/false, Status()).status());
  return at_boundary_ ? at_boundary_(lookup.header()) : Status();
}

std::unique_ptr<StepLookup> DedicatedServer::Next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !prepared_.empty() || keys_done_; });
  if (prepared_.empty()) return nullptr;
  std::unique_ptr<StepLookup> lookup = std::move(prepared_.front());
  prepared_.pop_front();
  changed_.notify_all();
  return lookup;
}

}  // namespace trestle
