// Exchange: a rank's part in the steps of all ranks, worker or server or both: the three exchanges
// and what ties them together. Client and dedicated server are thin layers over it.
//
// Thread safety: Prepare on one thread, Pull and Push on one other. Collective: all ranks.
// Errors: a failure of any rank is returned by all. After one in Pull or Push, the next Prepare of
// every rank returns it, so that no keys thread waits for one that has stopped.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ps/gradient_exchange.h"
#include "ps/key_exchange.h"
#include "ps/row_exchange.h"

namespace trestle {

class Exchange {
 public:
  // All is borrowed but the topology, which lookups share.
  Exchange(Communicator& comm, std::shared_ptr<const Topology> topology,
           std::span<const std::unique_ptr<EmbeddingTable>> tables, ThreadPool* pool);

  // `header` is null on a dedicated server.
  Result<std::unique_ptr<StepLookup>> Prepare(const StepHeader* header, std::vector<LaneKeys> lanes,
                                              const Status& local);
  Status Pull(StepLookup& lookup);
  Result<PushOutcome> Push(StepLookup& lookup, bool bad, const Status& local);

 private:
  const std::shared_ptr<const Topology> topology_;
  const std::shared_ptr<StepPool> pool_;
  FailureBox main_failure_;
  KeyExchange keys_;
  RowExchange rows_;
  GradientExchange gradients_;
};

}  // namespace trestle
