// What the dense side reaches of one core's FMA peak, measured in the same run: the products of
// DIN's step, its operators, and the whole forward and backward of DIN's network: 17 slots of 16,
// candidate and history of 32, 30 items on average, attention 80-40, MLP 200-80, lanes of 256 rows.
//
//   dense_bench [avx2 | avx512] [din: the whole step only]
//
// Times are CPU times of the thread, the least of 60 windows of 3 ms, since machines are shared.
#include <immintrin.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "backend/activated_linear.h"
#include "backend/attention.h"
#include "backend/bridge.h"
#include "backend/gemm.h"
#include "backend/isa.h"
#include "backend/linear.h"
#include "backend/loss.h"
#include "backend/ops.h"
#include "backend/parameters.h"
#include "base/thread_pool.h"

namespace trestle {
namespace {

constexpr int64_t kRows = 256, kItems = 30, kSlots = 17, kDim = 16, kBehaviour = 32;

double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double SecondsOf(const std::function<void()>& run) {
  run();
  double best = 1e30;
  int64_t repeats = 1;
  for (int i = 0; i < 60; ++i) {
    const double start = ThreadSeconds();
    for (int64_t r = 0; r < repeats; ++r) run();
    const double seconds = (ThreadSeconds() - start) / static_cast<double>(repeats);
    best = std::min(best, seconds);
    repeats = std::max<int64_t>(1, static_cast<int64_t>(0.003 / seconds));
  }
  return best;
}

// Independent chains of FMAs, as many as cover latency times ports and fit the registers.
__attribute__((target("avx512f"), noinline)) float WideChains(int64_t iterations) {
  constexpr int kChains = 24;
  __m512 x[kChains];
  const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
  for (int c = 0; c < kChains; ++c) x[c] = _mm512_set1_ps(0.1f * static_cast<float>(c));
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 24
    for (int c = 0; c < kChains; ++c) x[c] = _mm512_fmadd_ps(x[c], factor, term);
  }
  for (int c = 1; c < kChains; ++c) x[0] = _mm512_add_ps(x[0], x[c]);
  return x[0][0];
}

__attribute__((noinline)) float NarrowChains(int64_t iterations) {
  constexpr int kChains = 12;
  __m256 x[kChains];
  const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
  for (int c = 0; c < kChains; ++c) x[c] = _mm256_set1_ps(0.1f * static_cast<float>(c));
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) x[c] = _mm256_fmadd_ps(x[c], factor, term);
  }
  for (int c = 1; c < kChains; ++c) x[0] = _mm256_add_ps(x[0], x[c]);
  return x[0][0];
}

double PeakGflops(bool wide) {
  constexpr int64_t kIterations = 100'000;
  volatile float sink;
  const double seconds =
      SecondsOf([&] { sink = wide ? WideChains(kIterations) : NarrowChains(kIterations); });
  (void)sink;
  return 2.0 * kIterations * (wide ? 16 * 24 : 8 * 12) / seconds * 1e-9;
}

std::vector<float> Random(int64_t n, float scale, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

// Histories of 10 to 50 items, 30 on average.
std::vector<int32_t> RandomOffsets() {
  std::mt19937 random(3);
  std::uniform_int_distribution<int> length(kItems - 20, kItems + 20);
  std::vector<int32_t> offsets{0};
  for (int64_t i = 0; i < kRows; ++i) offsets.push_back(offsets.back() + length(random));
  return offsets;
}

struct Report {
  double peak;
  void Line(const std::string& name, double seconds, double flops) const {
    const double gflops = flops / seconds * 1e-9;
    std::printf("%-44s %9.3f us/sample %8.1f GFLOP/s %6.1f %%\n", name.c_str(),
                seconds / kRows * 1e6, gflops, 100 * gflops / peak);
  }
};

void BenchGemm(const Report& report) {
  struct Shape {
    const char* name;
    bool ta, tb;
    int64_t m, n, k;
  };
  constexpr int64_t kTotal = kRows * kItems, kIn = kSlots * kDim;
  const Shape shapes[] = {{"one history", false, false, kItems, 80, 32},
                          {"one history, to items", false, false, kItems, 32, 80},
                          {"one history, to weights", true, false, 32, 80, kItems},
                          {"attention 80-40", false, false, kTotal, 40, 80},
                          {"attention 80-40, to inputs", false, true, kTotal, 80, 40},
                          {"attention 80-40, to weights", true, false, 80, 40, kTotal},
                          {"attention 40-1", false, false, kTotal, 1, 40},
                          {"attention 40-1, to inputs", false, true, kTotal, 40, 1},
                          {"attention 40-1, to weights", true, false, 40, 1, kTotal},
                          {"MLP 272-200", false, false, kRows, 200, kIn},
                          {"MLP 272-200, to inputs", false, true, kRows, kIn, 200},
                          {"MLP 272-200, to weights", true, false, kIn, 200, kRows},
                          {"MLP 200-80", false, false, kRows, 80, 200},
                          {"MLP 200-80, to inputs", false, true, kRows, 200, 80},
                          {"MLP 200-80, to weights", true, false, 200, 80, kRows}};
  for (const Shape& s : shapes) {
    const std::vector<float> a = Random(s.m * s.k, 1, 1), b = Random(s.k * s.n, 1, 2);
    std::vector<float> c(s.m * s.n);
    const int64_t times = s.m * s.k <= 80 * kItems && s.k <= 80 ? kRows : 1;
    const double seconds = SecondsOf([&] {
      for (int64_t i = 0; i < times; ++i) {
        Gemm<float>(s.ta, s.tb, s.m, s.n, s.k, a.data(), b.data(), c.data(), 0.0f);
      }
    });
    report.Line(s.name, seconds, 2.0 * static_cast<double>(times * s.m * s.n * s.k));
  }
}

// An operator alone: forward, then backward from a gradient of ones.
void BenchOperator(const Report& report, const std::string& name,
                   const std::vector<std::pair<int64_t, int64_t>>& shapes, double flops,
                   const std::function<Var(Tape&, const std::vector<Var>&)>& build) {
  Arena arena;
  Tape tape(&arena);
  std::vector<std::vector<float>> values, grads;
  for (const auto& [rows, cols] : shapes) {
    values.push_back(Random(rows * cols, 0.5f, 5));
    grads.emplace_back(rows * cols);
  }
  std::vector<float> statistics(1024, 1.0f), lane_statistics(1024);
  auto run = [&](bool gradients) {
    tape.Reset({.training = true, .gradients = gradients}, {}, {}, {}, statistics, lane_statistics);
    std::vector<Var> inputs;
    for (size_t i = 0; i < shapes.size(); ++i) {
      inputs.push_back(
          tape.Input(values[i].data(), grads[i].data(), shapes[i].first, shapes[i].second));
    }
    Var output = build(tape, inputs);
    if (gradients) tape.Backward(output);
  };
  const double forward = SecondsOf([&] { run(false); });
  const double both = SecondsOf([&] { run(true); });
  report.Line(name, forward, flops);
  report.Line(name + ", backward", both - forward, 2 * flops);
}

void BenchOperators(const Report& report, const std::vector<int32_t>& offsets) {
  const int64_t total = offsets.back();
  const double items = static_cast<double>(total);
  using Inputs = std::vector<Var>;
  BenchOperator(report, "AttentionInput 32 -> 80", {{kRows, 32}, {total, 32}, {128, 80}, {1, 80}},
                2 * items * 32 * 80, [&](Tape& t, const Inputs& x) {
                  return AttentionInput<float>(t, x[0], x[1], offsets, x[2], x[3]);
                });
  BenchOperator(report, "Sigmoid [items, 80]", {{total, 80}}, items * 80,
                [](Tape& t, const Inputs& x) { return Sigmoid<float>(t, x[0]); });
  BenchOperator(report, "PRelu [items, 80]", {{total, 80}, {1, 80}}, items * 80,
                [](Tape& t, const Inputs& x) { return PRelu<float>(t, x[0], x[1]); });
  const FlatSlice mean{"mean", 1, 80, 0}, variance{"variance", 1, 80, 80};
  BenchOperator(report, "Dice [items, 80]", {{total, 80}, {1, 80}}, items * 80,
                [&](Tape& t, const Inputs& x) {
                  return Dice<float>(t, x[0], x[1], {&mean, &variance});
                });
  BenchOperator(report, "Linear 80 -> 40 of items", {{total, 80}, {80, 40}, {1, 40}},
                2 * items * 80 * 40,
                [](Tape& t, const Inputs& x) { return Linear<float>(t, x[0], x[1], x[2]); });
  BenchOperator(report, "Linear 40 -> 1 of items", {{total, 40}, {40, 1}, {1, 1}}, 2 * items * 40,
                [](Tape& t, const Inputs& x) { return Linear<float>(t, x[0], x[1], x[2]); });
  BenchOperator(
      report, "JaggedWeightedSum", {{total, 32}, {total, 1}}, 2 * items * 32,
      [&](Tape& t, const Inputs& x) { return JaggedWeightedSum<float>(t, x[0], x[1], offsets); });
  BenchOperator(report, "Linear 272 -> 200", {{kRows, 272}, {272, 200}, {1, 200}},
                2.0 * kRows * 272 * 200,
                [](Tape& t, const Inputs& x) { return Linear<float>(t, x[0], x[1], x[2]); });
  std::vector<std::pair<int64_t, int64_t>> slots(kSlots, {kRows, kDim});
  BenchOperator(report, "Concat of 17 x 16", slots, 0,
                [](Tape& t, const Inputs& x) { return ConcatColumns<float>(t, x); });
}

enum class Kind { kSigmoid, kPRelu, kDice };

// DIN's network as a model composes it from operators.
class DinStep {
 public:
  DinStep(Kind kind, const std::vector<int32_t>& offsets)
      : kind_(kind), offsets_(offsets), parameters_(7) {
    AddLayer("attention.0", 4 * kBehaviour, 80);
    AddLayer("attention.1", 80, 40);
    AddLayer("attention.2", 40, 1);
    AddLayer("mlp.0", kSlots * kDim, 200);
    AddLayer("mlp.1", 200, 80);
    AddLayer("mlp.2", 80, 1);
    grads_.resize(parameters_.size());
    lane_statistics_.resize(statistics_.size());
    for (int64_t s = 0; s < kSlots; ++s) AddInput(s < 2 ? offsets_.back() : kRows);
    labels_.resize(kRows);
    for (int64_t i = 0; i < kRows; ++i) labels_[i] = static_cast<float>(i % 3 == 0);
  }

  void Run(bool gradients) {
    std::fill(grads_.begin(), grads_.end(), 0.0f);
    tape_.Reset({.training = true, .gradients = gradients}, {}, std::as_const(parameters_).values(),
                grads_, std::as_const(statistics_).values(), lane_statistics_);
    std::vector<Var> slots;
    for (size_t s = 0; s < values_.size(); ++s) {
      slots.push_back(tape_.Input(values_[s].data(), slot_grads_[s].data(),
                                  static_cast<int64_t>(values_[s].size()) / kDim, kDim));
    }
    Var loss = Forward(slots);
    if (gradients) tape_.Backward(loss);
  }

  // FLOPs that the folded form needs, of forward; backward takes twice as many.
  double Flops() const {
    const double items = offsets_.back();
    return 2 * items * (32 * 80 + 80 * 40 + 40 + 32) +
           2.0 * kRows * (32 * 80 + 32 * 80 + 272 * 200 + 200 * 80 + 80);
  }

 private:
  struct Layer {
    FlatSlice weight, bias, activation, mean, variance;
  };

  void AddLayer(const std::string& name, int in, int out) {
    auto add = [&](const std::string& what, int rows, ParameterInit init) {
      return parameters_.slice(parameters_.Add(name + what, rows, out, init));
    };
    Layer layer;
    layer.weight = add(".weight", in, {ParameterInit::Kind::kGlorotNormal});
    layer.bias = add(".bias", 1, {});
    layer.activation = add(".activation", 1, {ParameterInit::Kind::kConstant, 0.1f});
    layer.mean = statistics_.slice(statistics_.Add(name + ".mean", out, 0, 0.01f));
    layer.variance = statistics_.slice(statistics_.Add(name + ".variance", out, 1, 0.01f));
    layers_.push_back(layer);
  }

  void AddInput(int64_t rows) {
    values_.push_back(Random(rows * kDim, 0.3f, static_cast<uint32_t>(values_.size())));
    slot_grads_.emplace_back(rows * kDim);
  }

  RowActivation<float> ActivationOf(const Layer& layer) {
    using Which = RowActivation<float>::Kind;
    if (kind_ == Kind::kSigmoid) return {Which::kSigmoid};
    return {kind_ == Kind::kPRelu ? Which::kPRelu : Which::kDice,
            tape_.Parameter(layer.activation),
            {&layer.mean, &layer.variance}};
  }

  // The layer's activation and then `next`.
  Var Activated(const Layer& layer, Var z, const Layer& next) {
    return ActivatedLinear<float>(tape_, z, ActivationOf(layer), tape_.Parameter(next.weight),
                                  tape_.Parameter(next.bias));
  }

  Var Affine(const Layer& layer, Var x) {
    return Linear<float>(tape_, x, tape_.Parameter(layer.weight), tape_.Parameter(layer.bias));
  }

  // Slots 0 and 1 are the history's columns, 2 and 3 the candidate's.
  Var Forward(const std::vector<Var>& slots) {
    const std::vector<Var> history_parts{slots[0], slots[1]}, target_parts{slots[2], slots[3]};
    Var history = ConcatColumns<float>(tape_, history_parts);
    Var target = ConcatColumns<float>(tape_, target_parts);
    Var z =
        AttentionInput<float>(tape_, target, history, offsets_, tape_.Parameter(layers_[0].weight),
                              tape_.Parameter(layers_[0].bias));
    z = Activated(layers_[0], z, layers_[1]);
    Var weights = Activated(layers_[1], z, layers_[2]);
    std::vector<Var> parts(slots.begin() + 2, slots.end());
    parts.push_back(JaggedWeightedSum<float>(tape_, history, weights, offsets_));
    z = Affine(layers_[3], ConcatColumns<float>(tape_, parts));
    z = Activated(layers_[3], z, layers_[4]);
    z = Activated(layers_[4], z, layers_[5]);
    return LossSum<float>(tape_, z, labels_.data(), nullptr, {});
  }

  Kind kind_;
  const std::vector<int32_t>& offsets_;
  Arena arena_;
  Tape tape_{&arena_};
  ParameterSet parameters_;
  StatisticSet statistics_;
  std::vector<Layer> layers_;
  std::vector<float> grads_, lane_statistics_, labels_;
  std::vector<std::vector<float>> values_, slot_grads_;
};

void BenchDin(const Report& report, const std::vector<int32_t>& offsets) {
  const std::pair<const char*, Kind> kinds[] = {
      {"sigmoid", Kind::kSigmoid}, {"PReLU", Kind::kPRelu}, {"Dice", Kind::kDice}};
  for (const auto& [name, kind] : kinds) {
    DinStep step(kind, offsets);
    const double forward = SecondsOf([&] { step.Run(false); });
    const double both = SecondsOf([&] { step.Run(true); });
    report.Line(std::string("DIN, ") + name + ", forward", forward, step.Flops());
    report.Line(std::string("DIN, ") + name + ", forward and backward", both, 3 * step.Flops());
  }
}

int Main(int argc, char** argv) {
  UseOneOpenMpThread();
  const std::string name = argc > 1 ? argv[1] : NativeInstructionSet();
  if (const Status status = PinInstructionSet(name); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return ExitCode(status.code());
  }
  const Report report{PeakGflops(ActiveInstructionSet() == InstructionSet::kAvx512)};
  const std::vector<int32_t> offsets = RandomOffsets();
  std::printf("%s, %s, FMA peak of one core %.1f GFLOP/s\n", name.c_str(),
              KernelLibraryVersions().c_str(), report.peak);
  if (argc < 3) {
    BenchGemm(report);
    BenchOperators(report, offsets);
  }
  BenchDin(report, offsets);
  return 0;
}

}  // namespace
}  // namespace trestle

int main(int argc, char** argv) { return trestle::Main(argc, argv); }
