#include "comm/thread_hub.h"

#include <algorithm>
#include <cstring>

namespace trestle {

// What an exchange has still to do, and the payloads it took but has not copied yet.
struct ThreadHub::Pending {
  struct Outgoing {
    Rank to;
    Payload payload;
  };
  std::vector<Outgoing> outgoing;
  std::vector<IncomingMessage> incoming;
  std::vector<std::pair<IncomingMessage, Payload>> taken;
  Status error;

  bool done() const { return outgoing.empty() && incoming.empty(); }
  std::vector<Rank> missing() const {
    std::vector<Rank> ranks;
    for (const Outgoing& out : outgoing) ranks.push_back(out.to);
    for (const IncomingMessage& in : incoming) ranks.push_back(in.from);
    return ranks;
  }
};

ThreadHub::ThreadHub(int size, std::chrono::milliseconds deadline)
    : size_(size),
      deadline_(deadline),
      mailboxes_(static_cast<size_t>(kStreamCount * size * size)),
      arrived_(static_cast<size_t>(kStreamCount * size)),
      failures_(static_cast<size_t>(size)) {}

Status ThreadHub::Exchange(Rank self, const ExchangeRequest& request) {
  Pending pending;
  for (const OutgoingMessage& out : request.outgoing) {
    const auto* data = static_cast<const std::byte*>(out.data);
    pending.outgoing.push_back(
        {out.to, std::make_shared<const std::vector<std::byte>>(data, data + out.bytes)});
  }
  pending.incoming.assign(request.incoming.begin(), request.incoming.end());

  std::unique_lock lock(mutex_);
  while (true) {
    if (Status ended = Ended(self, request.op); !ended.ok()) return ended;
    Post(self, request, pending);
    Take(self, request, pending);
    if (!pending.error.ok()) return Fail(self, pending.error);
    if (pending.done()) break;
    if (std::chrono::steady_clock::now() >= request.deadline) {
      return Fail(
          self, DeadlineError(self, request.op, WaitOf(request.op, deadline_), pending.missing()));
    }
    arrived(request.op.stream, self).wait_until(lock, request.deadline);
  }
  lock.unlock();
  for (const auto& [in, payload] : pending.taken) {
    if (in.bytes > 0) std::memcpy(in.data, payload->data(), in.bytes);
  }
  return {};
}

void ThreadHub::Post(Rank self, const ExchangeRequest& request, Pending& pending) {
  std::erase_if(pending.outgoing, [&](Pending::Outgoing& out) {
    auto& messages = mailbox(request.op.stream, self, out.to).messages;
    if (messages.size() >= kMailboxDepth) return false;
    messages.push_back({request.sequence, std::move(out.payload)});
    arrived(request.op.stream, out.to).notify_all();
    return true;
  });
}

// A message of another sequence number means that the two ends ran different operations: it stays
// where it is and the deadline names the peer, as under MPI, where the tags do not match.
void ThreadHub::Take(Rank self, const ExchangeRequest& request, Pending& pending) {
  std::erase_if(pending.incoming, [&](const IncomingMessage& in) {
    auto& messages = mailbox(request.op.stream, in.from, self).messages;
    if (messages.empty() || messages.front().sequence != request.sequence) return false;
    Payload payload = std::move(messages.front().payload);
    messages.pop_front();
    arrived(request.op.stream, in.from).notify_all();
    if (payload->size() != in.bytes) {
      if (pending.error.ok()) {
        pending.error = SizeError(self, request.op, in.from, in.bytes, payload->size());
      }
      return true;
    }
    pending.taken.emplace_back(in, std::move(payload));
    return true;
  });
}

void ThreadHub::Abort(Rank self, const std::string& reason) {
  std::lock_guard lock(mutex_);
  if (aborter_.value >= 0) return;
  aborter_ = self;
  reason_ = reason;
  for (std::condition_variable& waiting : arrived_) waiting.notify_all();
}

Rank ThreadHub::aborter() const {
  std::lock_guard lock(mutex_);
  return aborter_;
}

Status ThreadHub::Ended(Rank self, const Operation& op) const {
  std::string message;
  if (const Status& own = failures_[static_cast<size_t>(self.value)]; !own.ok()) {
    message = "given up after: " + own.ToString();
  } else if (aborter_.value >= 0) {
    message = "rank " + std::to_string(aborter_.value) + " ended the job";
    if (!reason_.empty()) message += ": " + reason_;
  } else {
    return {};
  }
  return Status(StatusCode::kPeerFailed, std::move(message)).Wrap(Describe(self, op));
}

Status ThreadHub::Fail(Rank self, Status status) {
  failures_[static_cast<size_t>(self.value)] = status;
  for (int s = 0; s < kStreamCount; ++s) arrived(static_cast<Stream>(s), self).notify_all();
  return status;
}

ThreadHub::Mailbox& ThreadHub::mailbox(Stream stream, Rank from, Rank to) {
  return mailboxes_[static_cast<size_t>((static_cast<int>(stream) * size_ + from.value) * size_ +
                                        to.value)];
}

std::condition_variable& ThreadHub::arrived(Stream stream, Rank rank) {
  return arrived_[static_cast<size_t>(static_cast<int>(stream) * size_ + rank.value)];
}

}  // namespace trestle
