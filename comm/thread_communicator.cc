#include "comm/thread_communicator.h"

#include <glog/logging.h>

#include <algorithm>
#include <thread>

#include "base/thread_pool.h"
#include "comm/exchange_communicator.h"
#include "comm/thread_hub.h"

namespace trestle {
namespace {

class ThreadCommunicator final : public ExchangeCommunicator {
 public:
  ThreadCommunicator(Rank rank, int size, CommunicatorOptions options,
                     std::shared_ptr<ThreadHub> hub)
      : ExchangeCommunicator(rank, size, options), hub_(std::move(hub)) {}

  void Abort(int /*exit_code*/, const std::string& reason) override { hub_->Abort(rank(), reason); }

 protected:
  Status Exchange(const ExchangeRequest& request) override {
    return hub_->Exchange(rank(), request);
  }

 private:
  const std::shared_ptr<ThreadHub> hub_;
};

std::vector<std::unique_ptr<Communicator>> MakeRanks(int size, CommunicatorOptions options,
                                                     const std::shared_ptr<ThreadHub>& hub) {
  std::vector<std::unique_ptr<Communicator>> ranks;
  for (int r = 0; r < size; ++r) {
    ranks.push_back(std::make_unique<ThreadCommunicator>(Rank{r}, size, options, hub));
  }
  return ranks;
}

// As rank 0 would see it: the failure of the lowest rank, wrapped with it on others. kPeerFailed
// mostly follows from another rank's end, so it stands only if nothing else failed, and then that
// of the rank which ended the job first.
Status WorstOf(const std::vector<Status>& statuses, Rank aborter) {
  const auto seen_from_rank_0 = [&](size_t r) {
    return r == 0 ? statuses[r] : statuses[r].Wrap("rank " + std::to_string(r));
  };
  const auto begin = statuses.begin();
  const auto cause = std::find_if(begin, statuses.end(), [](const Status& status) {
    return !status.ok() && status.code() != StatusCode::kPeerFailed;
  });
  if (cause != statuses.end()) return seen_from_rank_0(static_cast<size_t>(cause - begin));
  if (aborter.value >= 0 && !statuses[static_cast<size_t>(aborter.value)].ok()) {
    return seen_from_rank_0(static_cast<size_t>(aborter.value));
  }
  const auto any =
      std::find_if(begin, statuses.end(), [](const Status& status) { return !status.ok(); });
  return any == statuses.end() ? Ok() : seen_from_rank_0(static_cast<size_t>(any - begin));
}

}  // namespace

std::vector<std::unique_ptr<Communicator>> MakeThreadCommunicators(int size,
                                                                   CommunicatorOptions options) {
  CHECK_GE(size, 1);
  return MakeRanks(size, options, std::make_shared<ThreadHub>(size, options.deadline));
}

Status RunThreadRanks(int size, const std::function<Status(Communicator&)>& body,
                      CommunicatorOptions options) {
  CHECK_GE(size, 1);
  const auto hub = std::make_shared<ThreadHub>(size, options.deadline);
  const auto ranks = MakeRanks(size, options, hub);
  std::vector<Status> statuses(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (size_t r = 0; r < ranks.size(); ++r) {
    threads.emplace_back([&, r] {
      UseOneOpenMpThread();
      statuses[r] = body(*ranks[r]);
      if (!statuses[r].ok()) {
        ranks[r]->Abort(ExitCode(statuses[r].code()), statuses[r].ToString());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return WorstOf(statuses, hub->aborter());
}

}  // namespace trestle
