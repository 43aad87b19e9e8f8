// MpiTransport: the MPI calls behind the engine, nothing else: one exchange in flight on each
// channel, as nonblocking sends and receives that are polled. A channel is a duplicate of
// MPI_COMM_WORLD, so that messages of different streams can never match each other.
//
// A message of more than part_bytes travels in parts, at most kPartsUnderWay at a time: so that the
// engine sees it flow, and MPI's int counts suffice for any size. Its first part is small, MPI
// sends it at once, and so its arrival says that the peer has come.
//
// Thread safety: none; everything is called by the one thread that called Init.
// Errors: MPI's own are kPeerFailed with the peer; a message of another size than expected
// kInternal, or its exchange ends at the deadline if the two sizes differ by whole parts.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "comm/exchange_communicator.h"

namespace trestle {

class MpiTransport {
 public:
  // The streams, and one channel of the engine's own for the end of the job.
  static constexpr int kChannels = kStreamCount + 1;
  static constexpr size_t kPartsUnderWay = 4;      // of a message
  static constexpr size_t kFirstPartBytes = 1024;  // at most

  struct Progress {
    std::optional<Status> outcome;  // empty while messages are still under way
    bool flowed = false;            // a part of a large message has arrived or left
  };

  // Calls MPI_Init_thread. Requires 0 < part_bytes <= INT_MAX.
  static Result<std::unique_ptr<MpiTransport>> Init(size_t part_bytes);
  ~MpiTransport();  // frees nothing of MPI's: Finalize does

  Rank rank() const;
  int size() const;

  // Starts an exchange on an idle channel. The request's buffers stay in use until it has finished.
  Status Post(int channel, const ExchangeRequest& request);
  // Looks once at the channel's messages.
  Progress Poll(int channel);
  // The peers whose messages are still under way.
  std::vector<Rank> Missing(int channel) const;

  Status Finalize();
  // MPI_Abort; returns only if MPI fails to end the process.
  void Abort(int exit_code);

 private:
  class Impl;
  explicit MpiTransport(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "Open MPI 4.1.4". Any thread.
std::string MpiLibraryVersion();

}  // namespace trestle
