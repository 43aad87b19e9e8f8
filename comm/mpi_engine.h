// MpiEngine: the one thread that owns MPI, from MPI_Init to MPI_Finalize. Callers hand it
// exchanges, at most one on each stream, and sleep; so MPI is never called by two threads, and a
// caller that computes on another stream is not disturbed.
//
// How it waits: with nothing under way it sleeps until work comes. Else it polls MPI, first
// yielding the core between polls (a peer that is ready answers within microseconds), then pausing
// for an eighth of the time waited so far, within [kShortestPause, kLongestPause]. So a late answer
// is noticed at most 12 % or one pause too late. A poll with its wake-up takes about 12 us, so the
// keys of the next step, which wait in the background of computing, pause longer: 1 % is lost.
// While a large message flows (a part of it moved within kYieldWhileFlowing) there are no pauses:
// MPI moves only a few fragments a poll where shared memory is copied twice, as in containers, and
// 5 MB a pair would take 6.5 ms instead of 0.6.
//
// Thread safety: all methods, from any thread; Finish once, when no exchange is under way.
// Errors: the first failed exchange breaks the engine: it calls MPI no more, and what is under way
// on other streams ends with kPeerFailed. Should MPI itself hang, callers return kGrace after the
// deadline. MPI's start and end wait for all ranks inside of MPI, where nothing can be given up: if
// that takes as long, the process says so and ends with the code of kDeadlineExceeded.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/exchange_communicator.h"
#include "comm/mpi_transport.h"

namespace trestle {

class MpiEngine {
 public:
  static constexpr std::chrono::microseconds kYieldFor{50};
  static constexpr std::chrono::microseconds kYieldWhileFlowing{1000};
  static constexpr std::chrono::microseconds kShortestPause{20};
  static constexpr std::chrono::microseconds kLongestPause{100};
  static constexpr std::chrono::microseconds kLongestPauseForKeys{1000};
  static constexpr std::chrono::seconds kGrace{10};
  static constexpr std::chrono::seconds kAbortGrace{2};

  // Starts the thread and MPI in it.
  static Result<std::unique_ptr<MpiEngine>> Start(size_t part_bytes,
                                                  std::chrono::milliseconds deadline);
  // Requires that Finish returned OK or Start failed.
  ~MpiEngine();

  Rank rank() const { return rank_; }
  int size() const { return size_; }

  Status Exchange(const ExchangeRequest& request);
  // Waits for all ranks to come here, then finalizes MPI and ends the thread.
  Status Finish();
  // Ends the job: MPI_Abort in the thread that owns MPI, or _exit if that thread is stuck.
  [[noreturn]] void Abort(int exit_code);

 private:
  using Clock = std::chrono::steady_clock;
  enum class State : uint8_t { kIdle, kSubmitted, kUnderWay, kDone };
  // An exchange's place; a caller fills it, the engine's thread owns it until it is done.
  struct Slot {
    State state = State::kIdle;
    ExchangeRequest request;
    std::vector<OutgoingMessage> outgoing;
    std::vector<IncomingMessage> incoming;
    Status status;
    std::condition_variable done;
  };

  explicit MpiEngine(std::chrono::milliseconds deadline) : deadline_(deadline) {}

  // Waits for what the thread says of MPI's start or end; ends the process if it says nothing.
  Status AwaitMpi(const std::optional<Status>& said, const std::string& what);
  Status ExchangeOn(int channel, const ExchangeRequest& request);
  void Main(size_t part_bytes);
  void ServeUntilTold();
  // Sleeps as the header says; false when it is time to finalize.
  bool AwaitWork();
  std::chrono::nanoseconds NextPause(Clock::time_point now) const;
  void PostSubmitted();
  void PollUnderWay();
  std::optional<Status> PollOne(int channel, Clock::time_point now);
  void Complete(int channel, Status status);

  const std::chrono::milliseconds deadline_;
  Rank rank_;
  int size_ = 0;

  std::mutex mutex_;  // never held during a call of MPI
  std::condition_variable work_;
  std::condition_variable started_or_finalized_;
  std::array<Slot, MpiTransport::kChannels> slots_;
  std::optional<Status> start_status_;
  std::optional<int> abort_code_;
  bool finalize_ = false;
  Status broken_;
  std::optional<Status> finalize_status_;

  // Only the engine's thread uses these.
  std::unique_ptr<MpiTransport> transport_;
  std::vector<int> submitted_;
  std::vector<int> under_way_;
  Clock::time_point last_event_;  // submission, completion, or a part that moved
  Clock::time_point last_flow_;   // a part that moved, of an exchange still under way

  std::thread thread_;
};

}  // namespace trestle
