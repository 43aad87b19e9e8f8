#include "worker/predict.h"

#include <glog/logging.h>

#include <algorithm>

namespace trestle {

Predictor::Predictor(Communicator& comm, const Schema& schema, ModelOutputSpec shown, Rank root,
                     Sink sink)
    : comm_(comm), shown_(std::move(shown)), root_(root), sink_(std::move(sink)) {
  for (const int group : shown_.attention) {
    const auto slot = std::ranges::find(schema.slots, group, &Slot::sequence_group);
    CHECK(slot != schema.slots.end());
    slots_.push_back(static_cast<int>(slot - schema.slots.begin()));
  }
}

void Predictor::BeginStep(const PreparedStep& step) {
  outputs_.assign(step.lanes.size(), LaneOutputs());
}

LaneOutputs* Predictor::OutputsOf(int lane) {
  const bool wanted = !shown_.attention.empty() || !shown_.embeddings.empty();
  return wanted ? &outputs_[static_cast<size_t>(lane)] : nullptr;
}

PredictedRows Predictor::Empty() const {
  PredictedRows rows;
  rows.attention.resize(shown_.attention.size());
  rows.embeddings.resize(shown_.embeddings.size());
  return rows;
}

void Predictor::AddLane(const PreparedStep& step, int lane, const std::vector<float>& logits,
                        PredictedRows* rows) const {
  const LaneRows& read = step.lanes[static_cast<size_t>(lane)];
  const size_t first = rows->accepted.size();
  rows->accepted.resize(first + static_cast<size_t>(read.rows + read.rejected), 1);
  for (const int32_t hole : read.holes) rows->accepted[first + static_cast<size_t>(hole)] = 0;
  rows->logits.insert(rows->logits.end(), logits.begin(), logits.end());
  if (read.rows == 0) return;  // the backend had nothing to show
  const auto append = [](const std::vector<float>& values, std::vector<float>* to) {
    to->insert(to->end(), values.begin(), values.end());
  };
  const LaneOutputs& outputs = outputs_[static_cast<size_t>(lane)];
  for (size_t i = 0; i < slots_.size(); ++i) {
    const std::span<const int32_t> offsets = step.lookup->offsets(lane, slots_[i]);
    PredictedRows::Lists& lists = rows->attention[i];
    for (size_t row = 0; row + 1 < offsets.size(); ++row) {
      lists.lengths.push_back(offsets[row + 1] - offsets[row]);
    }
    append(outputs.attention[i], &lists.values);
  }
  for (size_t i = 0; i < shown_.embeddings.size(); ++i) {
    append(outputs.embeddings[i], &rows->embeddings[i]);
  }
}

Status Predictor::OnStep(const PreparedStep& step, std::span<const std::vector<float>> logits) {
  PredictedRows mine = Empty();
  for (size_t lane = 0; lane < step.lanes.size(); ++lane) {
    AddLane(step, static_cast<int>(lane), logits[lane], &mine);
  }
  const Operation op{Stream::kDense, "predictions", step.lookup->header().step};
  TRESTLE_ASSIGN_OR_RETURN(const auto texts, comm_.Gather(op, ToBytes(mine), root_));
  Status written;
  if (comm_.rank() == root_) {
    PredictedRows all = Empty();
    for (const std::string& text : texts) {
      if (!text.empty()) AppendBytes(text, &all);  // dedicated servers say nothing
    }
    written = sink_(all);
  }
  return AgreeOnStatus(comm_, op, written);
}

}  // namespace trestle
