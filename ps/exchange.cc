#include "ps/exchange.h"

#include <glog/logging.h>

#include <utility>

namespace trestle {

Exchange::Exchange(Communicator& comm, std::shared_ptr<const Topology> topology,
                   std::span<const std::unique_ptr<EmbeddingTable>> tables, ThreadPool* pool)
    : topology_(std::move(topology)),
      pool_(std::make_shared<StepPool>()),
      keys_(comm, *topology_, main_failure_),
      rows_(comm, *topology_, tables, pool),
      gradients_(comm, *topology_, tables, pool) {}

Result<std::unique_ptr<StepLookup>> Exchange::Prepare(const StepHeader* header,
                                                      std::vector<LaneKeys> lanes,
                                                      const Status& local) {
  auto lookup = std::make_unique<StepLookup>(topology_, pool_, pool_->Acquire());
  TRESTLE_RETURN_IF_ERROR(keys_.Prepare(header, std::move(lanes), local, &lookup->step()));
  return lookup;
}

Status Exchange::Pull(StepLookup& lookup) {
  Step& step = lookup.step();
  CHECK(step.has_keys() && !step.pulled) << "Pull once, of a step that has keys";
  TRESTLE_RETURN_IF_ERROR(main_failure_.Get());
  return main_failure_.Put(rows_.Pull(&step));
}

Result<PushOutcome> Exchange::Push(StepLookup& lookup, bool bad, const Status& local) {
  Step& step = lookup.step();
  CHECK(step.training() && step.pulled) << "Push once, of a training step that was pulled";
  TRESTLE_RETURN_IF_ERROR(main_failure_.Get());
  step.pulled = false;
  auto outcome = gradients_.Push(&step, bad, local);
  TRESTLE_RETURN_IF_ERROR(main_failure_.Put(outcome.status()));
  return outcome;
}

}  // namespace trestle
