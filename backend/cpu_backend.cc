// The dense backend on CPUs: built-in models on the tape, one arena and tape a thread.
#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "backend/bridge.h"
#include "backend/config_check.h"
#include "backend/dense_optimizer.h"
#include "backend/loss.h"
#include "backend/step_sums.h"
#include "base/hash.h"

namespace trestle {
namespace {

// What one thread needs to run lanes beside the others.
struct LaneRunner {
  Arena arena;
  Tape tape{&arena};
  std::vector<float> gradients;   // of the lane, laid out as the parameters
  std::vector<float> statistics;  // of the lane
  StepSums sums;
  int32_t bad_lane = -1;  // the lowest bad one of the step; -1: none
  std::string bad_what;

  LaneRunner(const ParameterSet* parameters, const StatisticSet* running, FixedUnit unit)
      : gradients(parameters->size()),
        statistics(running->size()),
        sums(parameters, running, unit) {}
};

class CpuBackend final : public DenseBackend {
 public:
  // The sets are heap objects, since the model and the sums keep pointers to them.
  CpuBackend(const BackendOptions& options, std::unique_ptr<ParameterSet> parameters,
             std::unique_ptr<StatisticSet> statistics, std::unique_ptr<NetworkModel> model,
             std::unique_ptr<FlatOptimizer> optimizer, const LossRule& loss)
      : inputs_(options.inputs),
        unit_(FixedUnit::ForLaneRows(options.lane_rows)),
        parameters_(std::move(parameters)),
        statistics_(std::move(statistics)),
        model_(std::move(model)),
        optimizer_(std::move(optimizer)),
        loss_(loss),
        gradient_(parameters_->size()) {
    for (int i = 0; i < options.threads; ++i) {
      runners_.push_back(std::make_unique<LaneRunner>(parameters_.get(), statistics_.get(), unit_));
    }
  }

  void BeginStep() override {
    for (auto& runner : runners_) {
      runner->sums.Clear();
      runner->bad_lane = -1;
      runner->bad_what.clear();
    }
  }

  void RunLane(int thread, LanePosition position, bool training, LaneTensors& lane) override;

  bool bad(std::string* what) const override {
    const LaneRunner* first = nullptr;  // by lane, so that the message does not depend on threads
    for (const auto& runner : runners_) {
      if (runner->bad_lane < 0) continue;
      if (first == nullptr || runner->bad_lane < first->bad_lane) first = runner.get();
    }
    if (first == nullptr) return false;
    if (what != nullptr)
      *what = first->bad_what + " (lane " + std::to_string(first->bad_lane) + ")";
    return true;
  }

  std::span<int64_t> Sums() override {
    for (size_t i = 1; i < runners_.size(); ++i) total().Merge(&runners_[i]->sums);
    return total().values();
  }

  StepTotals Totals() const override {
    return {total().rows(), total().loss(), total().bad_lanes() > 0};
  }

  void ApplyStep(int64_t step, float lr_factor) override {
    CHECK_EQ(total().bad_lanes(), 0) << "a bad step must not be applied";
    if (total().rows() == 0) return;  // all rows were holes: nothing was learned
    total().MeanGradient(gradient_);
    optimizer_->Step(step, lr_factor, gradient_, parameters_.get());
    total().UpdateStatistics(statistics_.get());
  }

  const ParameterSet& parameters() const override { return *parameters_; }
  const StatisticSet& statistics() const override { return *statistics_; }
  FixedUnit unit() const override { return unit_; }
  ModelOutputSpec outputs() const override { return model_->outputs(); }

  uint64_t Digest() const override {
    uint64_t digest = 0;
    auto add = [&digest](const std::string& name, std::span<const float> values) {
      digest = Hash64(std::as_bytes(values), Hash64(name, digest));
    };
    add("parameters", std::as_const(*parameters_).values());
    for (const FlatOptimizer::State& state : optimizer_->state()) add(state.name, state.values);
    add("statistics", std::as_const(*statistics_).values());
    return digest;
  }

  std::vector<std::pair<FlatSlice, std::span<float>>> State() override {
    std::vector<std::pair<FlatSlice, std::span<float>>> all;
    auto add = [&all](const std::string& prefix, const std::vector<FlatSlice>& slices,
                      std::span<float> values) {
      for (const FlatSlice& slice : slices) {
        all.emplace_back(slice, values.subspan(slice.offset, slice.size()));
        all.back().first.name = prefix + slice.name;
      }
    };
    add("", parameters_->slices(), parameters_->values());
    for (FlatOptimizer::State& state : optimizer_->state()) {
      add(state.name + "/", parameters_->slices(), state.values);
    }
    add("statistic/", statistics_->slices(), statistics_->values());
    return all;
  }

 private:
  StepSums& total() { return runners_.front()->sums; }
  const StepSums& total() const { return runners_.front()->sums; }

  ModelInput MakeInput(Tape& tape, bool training, const LaneTensors& lane) const;

  ModelInputSpec inputs_;
  FixedUnit unit_;
  std::unique_ptr<ParameterSet> parameters_;
  std::unique_ptr<StatisticSet> statistics_;
  std::unique_ptr<NetworkModel> model_;
  std::unique_ptr<FlatOptimizer> optimizer_;
  LossRule loss_;
  std::vector<float> gradient_;  // of a step
  std::vector<std::unique_ptr<LaneRunner>> runners_;
};

// Puts the lane's buffers on the tape, without copies.
ModelInput CpuBackend::MakeInput(Tape& tape, bool training, const LaneTensors& lane) const {
  CHECK_EQ(lane.slots.size(), inputs_.slots.size());
  ModelInput input;
  input.rows = lane.rows;
  for (size_t i = 0; i < lane.slots.size(); ++i) {
    const SlotTensor& slot = lane.slots[i];
    const SlotSpec& spec = inputs_.slots[i];
    CHECK_EQ(slot.dim, spec.dim) << spec.name;
    CHECK_EQ(slot.offsets != nullptr, spec.list()) << spec.name;
    CHECK_EQ(slot.count, spec.list() ? slot.offsets[lane.rows] : lane.rows) << spec.name;
    input.slots.push_back(
        tape.Input(slot.values, training ? slot.gradient : nullptr, slot.count, slot.dim));
    input.offsets.push_back(spec.list() ? Offsets(slot.offsets, lane.rows + 1) : Offsets());
  }
  if (inputs_.numeric_width > 0) {
    input.numeric = tape.Input(const_cast<float*>(lane.numeric), nullptr, lane.rows,
                               inputs_.numeric_width);  // read only: it has no gradient
  }
  return input;
}

// Off the tape, which the next lane clears.
void CopyOutputs(const ModelOutput& output, LaneOutputs* to) {
  const auto copy = [](const std::vector<Var>& vars, std::vector<std::vector<float>>* out) {
    out->clear();
    for (const Var var : vars) out->emplace_back(var->value, var->value + var->size());
  };
  copy(output.attention, &to->attention);
  copy(output.embeddings, &to->embeddings);
}

void CpuBackend::RunLane(int thread, LanePosition position, bool training, LaneTensors& lane) {
  if (lane.rows == 0) return;  // nothing to predict, nothing to learn
  LaneRunner& runner = *runners_[thread];
  Tape& tape = runner.tape;
  std::span<float> gradients;
  std::span<float> statistics;
  if (training) {
    gradients = runner.gradients;
    statistics = runner.statistics;
    std::fill(gradients.begin(), gradients.end(), 0.0f);
    std::fill(statistics.begin(), statistics.end(), AbsentStatistic());
  }
  tape.Reset({.training = training, .gradients = training}, position,
             std::as_const(*parameters_).values(), gradients, std::as_const(*statistics_).values(),
             statistics);
  ModelInput input = MakeInput(tape, training, lane);
  ModelOutput output;
  CHECK(lane.outputs == nullptr || !training);
  if (lane.outputs != nullptr) input.output = &output;
  const Var logits = model_->Forward(tape, input);
  CHECK_EQ(logits->size(), lane.rows);
  std::copy_n(logits->value, lane.rows, lane.logits);
  if (lane.outputs != nullptr) CopyOutputs(output, lane.outputs);
  const Var loss = LossSum(tape, logits, lane.labels, lane.weights, loss_);
  if (training) tape.Backward(loss);
  std::string what = runner.sums.AddLane(lane.rows, *loss->value, gradients, statistics);
  if (!what.empty() && (runner.bad_lane < 0 || position.lane < runner.bad_lane)) {
    runner.bad_lane = position.lane;
    runner.bad_what = std::move(what);
  }
}

}  // namespace

Result<std::unique_ptr<DenseBackend>> MakeCpuBackend(const BackendOptions& options) {
  CHECK_GE(options.threads, 1);
  CHECK_GE(options.lane_rows, 1);
  auto parameters = std::make_unique<ParameterSet>(options.seed);
  auto statistics = std::make_unique<StatisticSet>();
  auto model =
      MakeModel(options.model, options.inputs, options.seed, parameters.get(), statistics.get());
  auto optimizer = MakeFlatOptimizer(options.optimizer, parameters->size());
  ConfigCheck check;
  check.Take(model.status());
  check.Take(optimizer.status());
  const auto loss = MakeLossRule(options.loss);
  check.Take(loss.status());
  TRESTLE_RETURN_IF_ERROR(check.ToStatus());
  return std::unique_ptr<DenseBackend>(
      std::make_unique<CpuBackend>(options, std::move(parameters), std::move(statistics),
                                   std::move(model).value(), std::move(optimizer).value(), *loss));
}

}  // namespace trestle
