// ThreadHub: the mailboxes through which the ranks of one process exchange messages, one for each
// (stream, from, to). A message is copied into its mailbox, so a sender does not wait for its
// receiver, unless it is kMailboxDepth messages ahead of it. That bound cannot deadlock: the rank
// that is furthest behind finds its own mailboxes with room, and what it waits for already sent.
//
// Thread safety: all methods, from any thread. One mutex guards everything but the copying of
// bytes.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "comm/exchange_communicator.h"

namespace trestle {

class ThreadHub {
 public:
  static constexpr size_t kMailboxDepth = 4;

  ThreadHub(int size, std::chrono::milliseconds deadline);

  // After a failure, what this rank has under way on other streams ends with kPeerFailed.
  Status Exchange(Rank self, const ExchangeRequest& request);
  // Makes every pending and later exchange of all ranks return kPeerFailed. The first call counts.
  void Abort(Rank self, const std::string& reason);
  // The rank whose Abort counted; negative if none.
  Rank aborter() const;

 private:
  using Payload = std::shared_ptr<const std::vector<std::byte>>;
  struct Message {
    int64_t sequence;
    Payload payload;
  };
  struct Mailbox {
    std::deque<Message> messages;
  };
  struct Pending;

  Mailbox& mailbox(Stream stream, Rank from, Rank to);
  std::condition_variable& arrived(Stream stream, Rank rank);
  // Moves whatever can move now. Requires mutex_.
  void Post(Rank self, const ExchangeRequest& request, Pending& pending);
  void Take(Rank self, const ExchangeRequest& request, Pending& pending);
  // OK until this rank has failed or some rank has ended the job.
  Status Ended(Rank self, const Operation& op) const;
  Status Fail(Rank self, Status status);

  const int size_;
  const std::chrono::milliseconds deadline_;
  mutable std::mutex mutex_;
  std::vector<Mailbox> mailboxes_;
  std::vector<std::condition_variable> arrived_;  // one for each (stream, rank)
  std::vector<Status> failures_;                  // the first of each rank
  Rank aborter_{-1};
  std::string reason_;
};

}  // namespace trestle
