// EvaluationVisitor: what an evaluation's pass is made for. The trainer reads the rows, pulls their
// embeddings and runs the network; the visitor makes metrics, predictions or importances of it. So
// all of them see the same bits.
//
// Thread safety: OnLane by the pool's threads, for different lanes at once; the rest by the
// trainer's thread, while no lane runs. Collective: OnStep, by all workers.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "backend/bridge.h"
#include "base/status.h"
#include "worker/step_queue.h"

namespace trestle {

// A lane after its forward pass.
struct LaneVisit {
  int lane = 0;  // among this worker's
  LanePosition position;
  const LaneTensors& tensors;
  // Runs the network again on other tensors of as many rows.
  std::function<void(LaneTensors&)> run;
};

class EvaluationVisitor {
 public:
  virtual ~EvaluationVisitor() = default;
  // Before the lanes of a step run.
  virtual void BeginStep(const PreparedStep& /*step*/) {}
  // Where the model's outputs of a lane of the step go; null: they are not wanted.
  virtual LaneOutputs* OutputsOf(int /*lane*/) { return nullptr; }
  virtual void OnLane(const LaneVisit& /*visit*/) {}
  // After the lanes of a step; `logits` has a vector a lane. A failure must be all workers'.
  virtual Status OnStep(const PreparedStep& step, std::span<const std::vector<float>> logits) = 0;
};

}  // namespace trestle
