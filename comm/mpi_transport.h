// MpiTransport: the MPI calls behind the engine, nothing else: one exchange in flight on each
// channel, as nonblocking sends and receives that are polled. A channel is a duplicate of
// MPI_COMM_WORLD, so that messages of different streams can never match each other.
//
// Thread safety: none; everything is called by the one thread that called Init.
// Errors: MPI's own are kPeerFailed with the peer; a message of another size than expected
// kInternal.
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
  // A message travels in at most kMaxParts parts of at least kPartBytes, so that the engine sees a
  // large one flow and polls on instead of pausing: over shared memory MPI moves a few fragments of
  // 32 KiB a poll.
  static constexpr size_t kPartBytes = size_t{256} << 10;
  static constexpr size_t kMaxParts = 64;
  // Larger parts are counted in blocks of this many bytes, so that MPI's int counts suffice up to
  // 8 TiB a part.
  static constexpr size_t kBlockBytes = 4096;

  // Calls MPI_Init_thread. Parts of at least `large_message_bytes` go in blocks.
  static Result<std::unique_ptr<MpiTransport>> Init(size_t large_message_bytes);
  ~MpiTransport();  // frees nothing of MPI's: Finalize does

  Rank rank() const;
  int size() const;

  // Starts an exchange on an idle channel. The request's buffers stay in use until it has finished.
  Status Post(int channel, const ExchangeRequest& request);
  // Looks once at the channel's messages: empty while some are still under way, else the outcome.
  // `moved`: whether any part has arrived or left since the last look.
  std::optional<Status> Poll(int channel, bool* moved);
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
