#include "comm/mpi_engine.h"

#include <glog/logging.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace trestle {
namespace {

constexpr int kFinishChannel = kStreamCount;

// For a process whose MPI does not return: no destructor could run. mpirun ends the other ranks.
[[noreturn]] void EndStuckProcess(const std::string& why) {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");  // MPI itself may not know it yet
  const std::string line =
      std::string("trestle: error: rank ") + (rank != nullptr ? rank : "?") + ": " + why + "\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  _exit(ExitCode(StatusCode::kDeadlineExceeded));
}

}  // namespace

Result<std::unique_ptr<MpiEngine>> MpiEngine::Start(size_t part_bytes,
                                                    std::chrono::milliseconds deadline) {
  std::unique_ptr<MpiEngine> engine(new MpiEngine(deadline));
  engine->thread_ = std::thread([raw = engine.get(), part_bytes] { raw->Main(part_bytes); });
  TRESTLE_RETURN_IF_ERROR(engine->AwaitMpi(engine->start_status_, "start"));
  return engine;
}

MpiEngine::~MpiEngine() {
  if (thread_.joinable()) thread_.join();
}

Status MpiEngine::AwaitMpi(const std::optional<Status>& said, const std::string& what) {
  const auto limit = std::chrono::ceil<std::chrono::seconds>(deadline_ + kGrace);
  std::unique_lock lock(mutex_);
  if (started_or_finalized_.wait_for(lock, limit, [&] { return said.has_value(); })) return *said;
  EndStuckProcess("waited " + std::to_string(limit.count()) + " s for MPI to " + what +
                  "; some rank has not reached it");
}

Status MpiEngine::Exchange(const ExchangeRequest& request) {
  return ExchangeOn(static_cast<int>(request.op.stream), request);
}

Status MpiEngine::ExchangeOn(int channel, const ExchangeRequest& request) {
  Slot& slot = slots_[static_cast<size_t>(channel)];
  std::unique_lock lock(mutex_);
  if (!broken_.ok()) {
    return Status(StatusCode::kPeerFailed, "no more communication after: " + broken_.ToString())
        .Wrap(Describe(rank_, request.op));
  }
  CHECK(slot.state == State::kIdle) << "two threads use one stream at once";
  slot.outgoing.assign(request.outgoing.begin(), request.outgoing.end());
  slot.incoming.assign(request.incoming.begin(), request.incoming.end());
  slot.request = request;
  slot.request.outgoing = slot.outgoing;
  slot.request.incoming = slot.incoming;
  slot.state = State::kSubmitted;
  work_.notify_one();
  const bool done = slot.done.wait_until(lock, request.deadline + kGrace,
                                         [&] { return slot.state == State::kDone; });
  if (!done) {  // the slot stays taken: MPI may still use the buffers
    return Status(StatusCode::kDeadlineExceeded, "the MPI library does not return from a call")
        .Wrap(Describe(rank_, request.op));
  }
  slot.state = State::kIdle;
  return std::move(slot.status);
}

Status MpiEngine::Finish() {
  std::vector<OutgoingMessage> outgoing;
  std::vector<IncomingMessage> incoming;
  for (int r = 0; r < size_; ++r) {
    if (Rank{r} == rank_) continue;
    outgoing.push_back({Rank{r}});
    incoming.push_back({Rank{r}});
  }
  const Operation op{Stream::kControl, "finish"};
  TRESTLE_RETURN_IF_ERROR(
      ExchangeOn(kFinishChannel, {op, 0, Clock::now() + deadline_, outgoing, incoming}));
  {
    std::lock_guard lock(mutex_);
    finalize_ = true;
    work_.notify_one();
  }
  const Status status = AwaitMpi(finalize_status_, "end");
  thread_.join();
  return status;
}

void MpiEngine::Abort(int exit_code) {
  {
    std::lock_guard lock(mutex_);
    if (!abort_code_) abort_code_ = exit_code;
    work_.notify_one();
  }
  std::this_thread::sleep_for(kAbortGrace);
  _exit(exit_code);  // mpirun ends the others when one exits without MPI_Finalize
}

void MpiEngine::Main(size_t part_bytes) {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // ns; the default of 50 us would more than double short pauses
  Result<std::unique_ptr<MpiTransport>> transport = MpiTransport::Init(part_bytes);
  if (transport.ok()) {
    transport_ = std::move(transport).value();
    rank_ = transport_->rank();
    size_ = transport_->size();
  }
  {
    std::lock_guard lock(mutex_);
    start_status_ = transport.status();
    started_or_finalized_.notify_one();
  }
  if (!transport_) return;
  ServeUntilTold();
  Status finalized = transport_->Finalize();
  std::lock_guard lock(mutex_);
  finalize_status_ = std::move(finalized);
  started_or_finalized_.notify_one();
}

void MpiEngine::ServeUntilTold() {
  while (AwaitWork()) {
    PostSubmitted();
    PollUnderWay();
  }
}

bool MpiEngine::AwaitWork() {
  const std::chrono::nanoseconds pause = NextPause(Clock::now());
  if (!under_way_.empty() && pause.count() == 0) sched_yield();
  std::unique_lock lock(mutex_);
  const auto told = [&] {
    return abort_code_.has_value() || finalize_ ||
           std::any_of(slots_.begin(), slots_.end(),
                       [](const Slot& slot) { return slot.state == State::kSubmitted; });
  };
  if (under_way_.empty()) {
    work_.wait(lock, told);
  } else if (pause.count() > 0) {
    work_.wait_for(lock, pause, told);
  }
  if (abort_code_) {
    const int exit_code = *abort_code_;
    lock.unlock();
    transport_->Abort(exit_code);
    _exit(exit_code);
  }
  for (int channel = 0; channel < MpiTransport::kChannels; ++channel) {
    Slot& slot = slots_[static_cast<size_t>(channel)];
    if (slot.state != State::kSubmitted) continue;
    slot.state = State::kUnderWay;
    submitted_.push_back(channel);
  }
  return !finalize_;
}

std::chrono::nanoseconds MpiEngine::NextPause(Clock::time_point now) const {
  const std::chrono::nanoseconds waited = now - last_event_;
  if (waited < kYieldFor || now - last_flow_ < kYieldWhileFlowing) {
    return std::chrono::nanoseconds(0);
  }
  const bool only_keys = std::all_of(under_way_.begin(), under_way_.end(), [](int channel) {
    return channel == static_cast<int>(Stream::kKeys);
  });
  return std::clamp<std::chrono::nanoseconds>(waited / 8, kShortestPause,
                                              only_keys ? kLongestPauseForKeys : kLongestPause);
}

void MpiEngine::PostSubmitted() {
  for (const int channel : submitted_) {
    last_event_ = Clock::now();
    under_way_.push_back(channel);
    const Status status = transport_->Post(channel, slots_[static_cast<size_t>(channel)].request);
    if (!status.ok()) {
      Complete(channel, status);
      break;
    }
  }
  submitted_.clear();
}

void MpiEngine::PollUnderWay() {
  const Clock::time_point now = Clock::now();
  for (const int channel : std::vector<int>(under_way_)) {
    std::optional<Status> outcome = PollOne(channel, now);
    if (!outcome) continue;
    last_event_ = now;
    last_flow_ = {};
    const bool failed = !outcome->ok();
    Complete(channel, *std::move(outcome));
    if (failed) return;
  }
}

std::optional<Status> MpiEngine::PollOne(int channel, Clock::time_point now) {
  MpiTransport::Progress progress = transport_->Poll(channel);
  if (progress.flowed) last_event_ = last_flow_ = now;
  const ExchangeRequest& request = slots_[static_cast<size_t>(channel)].request;
  if (progress.outcome || now < request.deadline) return std::move(progress.outcome);
  return DeadlineError(rank_, request.op, WaitOf(request.op, deadline_),
                       transport_->Missing(channel));
}

// After a failure the engine has nothing under way: the others' exchanges end with it.
void MpiEngine::Complete(int channel, Status status) {
  std::erase(under_way_, channel);
  std::lock_guard lock(mutex_);
  const auto finish = [&](int index, Status outcome) {
    Slot& slot = slots_[static_cast<size_t>(index)];
    slot.status = std::move(outcome);
    slot.state = State::kDone;
    slot.done.notify_one();
  };
  if (!status.ok()) {
    broken_ = status;
    for (int other = 0; other < MpiTransport::kChannels; ++other) {
      const Slot& slot = slots_[static_cast<size_t>(other)];
      if (other == channel || slot.state == State::kIdle || slot.state == State::kDone) continue;
      finish(other, Status(StatusCode::kPeerFailed, "given up after: " + status.ToString())
                        .Wrap(Describe(rank_, slot.request.op)));
    }
    under_way_.clear();
  }
  finish(channel, std::move(status));
}

}  // namespace trestle
