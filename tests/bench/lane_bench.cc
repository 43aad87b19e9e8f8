// What one lane of DIN costs on one core, forward and backward, at the sizes of
// docs/performance.md: 256 rows, histories of 0 to 50 items of width 64, unit 80-40, MLP 200-80.
// Counters: us a row.
#include <benchmark/benchmark.h>
#include <google/protobuf/text_format.h>

#include "backend/bridge.h"
#include "backend/step_sums.h"
#include "base/thread_pool.h"
#include "tests/backend/lane_fixture.h"

namespace trestle {
namespace {

ModelInputSpec DinInputs() {
  ModelInputSpec inputs;
  inputs.slots = {{"item", 32},         {"cate", 32}, {"hist_item", 32, 0},
                  {"hist_cate", 32, 0}, {"user", 32}, {"context", 32}};
  return inputs;
}

std::unique_ptr<DenseBackend> DinBackend(const std::string& activation) {
  BackendOptions options;
  const std::string text =
      "din { candidate: 'item' candidate: 'cate' history: 'hist_item' history: 'hist_cate' "
      "attention { activation: " +
      activation + " } mlp { activation: " + activation + " } }";
  if (!google::protobuf::TextFormat::ParseFromString(text, &options.model)) return nullptr;
  options.inputs = DinInputs();
  return std::move(MakeCpuBackend(options)).value();
}

void BM_DinLane(benchmark::State& state, const std::string& activation, bool training) {
  UseOneOpenMpThread();
  auto backend = DinBackend(activation);
  constexpr int64_t kRows = 256;
  LaneFixture fixture(DinInputs(), kRows, 50, 1, 0.1f);
  backend->BeginStep();
  for (auto _ : state) backend->RunLane(0, {.step = 1, .lane = 0}, training, fixture.lane);
  state.counters["us_a_row"] =
      benchmark::Counter(1e-6 * static_cast<double>(kRows * state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK_CAPTURE(BM_DinLane, prelu_training, "PRELU", true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_DinLane, dice_training, "DICE", true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_DinLane, sigmoid_training, "SIGMOID", true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_DinLane, dice_evaluation, "DICE", false)->Unit(benchmark::kMillisecond);

// Adding the gradients of one lane as fixed point, 100,000 parameters.
void BM_AddLane(benchmark::State& state) {
  ParameterSet parameters(1);
  StatisticSet statistics;
  parameters.Add("weight", 1000, 100, {});
  StepSums sums(&parameters, &statistics, FixedUnit());
  const std::vector<float> gradients(100'000, 1e-3f);
  for (auto _ : state) {
    if (!sums.AddLane(256, 100.0f, gradients, {}).empty()) state.SkipWithError("bad term");
  }
}
BENCHMARK(BM_AddLane)->Unit(benchmark::kMicrosecond);

void BM_ApplyStep(benchmark::State& state) {
  auto backend = DinBackend("DICE");
  LaneFixture fixture(DinInputs(), 256, 50, 1, 0.1f);
  backend->BeginStep();
  backend->RunLane(0, {.step = 1, .lane = 0}, true, fixture.lane);
  backend->Sums();
  int64_t step = 0;
  for (auto _ : state) backend->ApplyStep(++step, 1.0f);
  state.counters["parameters"] = static_cast<double>(backend->parameters().size());
}
BENCHMARK(BM_ApplyStep)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace trestle

BENCHMARK_MAIN();
