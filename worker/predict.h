// Predictor: brings the logits of an evaluation's pass together, in the order of the input. With
// the order TIME a step's lanes, lane after lane and worker after worker, are consecutive rows.
//
// Thread safety: as EvaluationVisitor. Collective: by all workers. Memory: two steps.
#pragma once

#include <functional>
#include <vector>

#include "backend/bridge.h"
#include "comm/communicator.h"
#include "worker/evaluation_visitor.h"
#include "worker/predicted_rows.h"
#include "worker/schema.h"

namespace trestle {

class Predictor final : public EvaluationVisitor {
 public:
  // Takes the rows of a step; on the root alone. Its failure becomes everybody's.
  using Sink = std::function<Status(const PredictedRows&)>;

  // `shown`: what is wanted beside logits, all or nothing of attention and of embeddings.
  Predictor(Communicator& comm, const Schema& schema, ModelOutputSpec shown, Rank root, Sink sink);

  void BeginStep(const PreparedStep& step) override;
  LaneOutputs* OutputsOf(int lane) override;
  Status OnStep(const PreparedStep& step, std::span<const std::vector<float>> logits) override;

 private:
  PredictedRows Empty() const;
  void AddLane(const PreparedStep& step, int lane, const std::vector<float>& logits,
               PredictedRows* rows) const;

  Communicator& comm_;
  const ModelOutputSpec shown_;
  const Rank root_;
  const Sink sink_;
  std::vector<int> slots_;  // of each group in shown_.attention: one whose offsets its items have
  std::vector<LaneOutputs> outputs_;  // of this worker's lanes
};

}  // namespace trestle
