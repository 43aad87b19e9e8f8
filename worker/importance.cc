#include "worker/importance.h"

#include <algorithm>

#include "base/hash.h"
#include "worker/plan.h"

namespace trestle {
namespace {

constexpr int64_t kExactRows = 50'000'000;  // of all features of a pass together

// A slot whose row i has the items of row from[i].
class PermutedSlot {
 public:
  PermutedSlot(const SlotTensor& slot, std::span<const int32_t> from) : tensor_(slot) {
    const auto dim = static_cast<size_t>(slot.dim);
    values_.reserve(static_cast<size_t>(slot.count) * dim);
    if (slot.offsets != nullptr) offsets_.push_back(0);
    for (const int32_t row : from) {
      const size_t begin = static_cast<size_t>(slot.offsets ? slot.offsets[row] : row);
      const size_t end = static_cast<size_t>(slot.offsets ? slot.offsets[row + 1] : row + 1);
      values_.insert(values_.end(), slot.values + begin * dim, slot.values + end * dim);
      if (slot.offsets != nullptr) {
        offsets_.push_back(offsets_.back() + static_cast<int32_t>(end - begin));
      }
    }
  }
  SlotTensor tensor() {
    tensor_.values = values_.data();
    if (tensor_.offsets != nullptr) tensor_.offsets = offsets_.data();
    return tensor_;
  }

 private:
  SlotTensor tensor_;
  std::vector<float> values_;
  std::vector<int32_t> offsets_;
};

std::vector<float> PermutedNumeric(const LaneTensors& lane, size_t width, size_t column,
                                   std::span<const int32_t> from) {
  std::vector<float> numeric(lane.numeric, lane.numeric + static_cast<size_t>(lane.rows) * width);
  for (size_t row = 0; row < from.size(); ++row) {
    numeric[row * width + column] = lane.numeric[static_cast<size_t>(from[row]) * width + column];
  }
  return numeric;
}

}  // namespace

std::vector<FeatureColumns> FeaturesOf(const Schema& schema) {
  std::vector<FeatureColumns> features;
  for (size_t s = 0; s < schema.slots.size(); ++s) {
    const int group = schema.slots[s].sequence_group;
    const bool more = s > 0 && group >= 0 && schema.slots[s - 1].sequence_group == group;
    if (more) {
      features.back().name += "+" + schema.slots[s].column;
      features.back().slots.push_back(s);
    } else {
      features.push_back({schema.slots[s].column, {s}, std::nullopt});
    }
  }
  for (size_t i = 0; i < schema.numeric.size(); ++i) {
    const std::string& column = schema.numeric[i].column;
    const auto bucketized = std::ranges::find(features, column, &FeatureColumns::name);
    if (bucketized == features.end()) {
      features.push_back({column, {}, i});
    } else {
      bucketized->numeric = i;
    }
  }
  return features;
}

ImportanceVisitor::ImportanceVisitor(const Schema& schema, uint64_t seed,
                                     std::vector<FeatureColumns> features)
    : seed_(DeriveSeed(seed, "importance")),
      numeric_width_(schema.numeric.size()),
      features_(std::move(features)),
      metrics_(features_.size() + 1,
               MetricsAccumulator(/*grouped=*/false,
                                  kExactRows / static_cast<int64_t>(features_.size() + 1))) {}

void ImportanceVisitor::BeginStep(const PreparedStep& step) {
  logits_.resize(step.lanes.size());
  for (auto& lane : logits_) lane.resize(features_.size());
}

void ImportanceVisitor::OnLane(const LaneVisit& visit) {
  const LaneTensors& lane = visit.tensors;
  const uint64_t stream =
      static_cast<uint64_t>(visit.position.step) << 16 | static_cast<uint64_t>(visit.position.lane);
  const std::vector<int32_t> from = Permutation(lane.rows, seed_, stream);
  for (size_t f = 0; f < features_.size(); ++f) {
    const FeatureColumns& feature = features_[f];
    std::vector<float>& logits = logits_[static_cast<size_t>(visit.lane)][f];
    logits.resize(static_cast<size_t>(lane.rows));
    LaneTensors changed = lane;
    changed.logits = logits.data();
    std::vector<PermutedSlot> slots;
    std::vector<float> numeric;
    for (const size_t s : feature.slots) slots.emplace_back(lane.slots[s], from);
    for (size_t i = 0; i < slots.size(); ++i) changed.slots[feature.slots[i]] = slots[i].tensor();
    if (feature.numeric) {
      numeric = PermutedNumeric(lane, numeric_width_, *feature.numeric, from);
      changed.numeric = numeric.data();
    }
    visit.run(changed);
  }
}

Status ImportanceVisitor::OnStep(const PreparedStep& step,
                                 std::span<const std::vector<float>> logits) {
  for (size_t lane = 0; lane < step.lanes.size(); ++lane) {
    const std::vector<float>& labels = step.lanes[lane].labels;
    for (size_t f = 0; f < features_.size(); ++f) metrics_[f].Add(logits_[lane][f], labels, {});
    metrics_.back().Add(logits[lane], labels, {});
  }
  return {};
}

Status ImportanceVisitor::Compute(Communicator& comm, Importance* importance) const {
  TRESTLE_ASSIGN_OR_RETURN(const Metrics whole, metrics_.back().Compute(comm, Stream::kDense));
  importance->auc = whole.auc;
  importance->rows = whole.rows;
  importance->auc_error = std::max(importance->auc_error, whole.auc_error);
  for (size_t f = 0; f < features_.size(); ++f) {
    TRESTLE_ASSIGN_OR_RETURN(const Metrics without, metrics_[f].Compute(comm, Stream::kDense));
    importance->features.push_back({features_[f].name, without.auc, whole.auc - without.auc});
    importance->auc_error = std::max(importance->auc_error, without.auc_error);
  }
  return {};
}

void SortByLoss(Importance* importance) {
  std::ranges::stable_sort(importance->features, std::greater<>(), &FeatureImportance::lost);
}

}  // namespace trestle
