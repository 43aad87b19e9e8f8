// The CPU backend through its bridge. The promise tested hardest: the bits of a step do not depend
// on which thread or worker ran which lane.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <limits>

#include "backend/bridge.h"
#include "base/thread_pool.h"
#include "tests/backend/lane_fixture.h"

namespace trestle {
namespace {

constexpr char kDin[] =
    "din { candidate: 'item' candidate: 'cate' history: 'hist_item' history: 'hist_cate' "
    "attention { units: [6, 4] activation: DICE dropout: 0.2 } "
    "mlp { units: [8, 5] activation: DICE dropout: 0.3 batch_norm: true } }";

BackendOptions Options(const std::string& model, int threads = 1) {
  BackendOptions options;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(model, &options.model)) << model;
  options.inputs = TestInputs();
  options.seed = 9;
  options.threads = threads;
  options.optimizer.set_clip_norm(0.5f);
  options.optimizer.set_l2(1e-3f);
  return options;
}

std::unique_ptr<DenseBackend> Make(const BackendOptions& options) {
  auto made = MakeCpuBackend(options);
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  return std::move(made).value();
}

// The lanes of one step: full ones, one of 1 row, one of none, one without any history.
std::deque<LaneFixture> StepLanes(int step) {
  std::deque<LaneFixture> lanes;
  const uint32_t seed = 100 * step;
  for (int i = 0; i < 5; ++i) lanes.emplace_back(TestInputs(), 17, 6, seed + i);
  lanes.emplace_back(TestInputs(), 1, 4, seed + 5);
  lanes.emplace_back(TestInputs(), 0, 4, seed + 6);
  lanes.emplace_back(TestInputs(), 9, 0, seed + 7);
  return lanes;
}

struct Trained {
  uint64_t digest = 0;
  std::vector<float> logits;
  std::vector<float> input_gradients;
  double loss = 0;
};

void Append(const LaneTensors& lane, Trained* trained) {
  trained->logits.insert(trained->logits.end(), lane.logits, lane.logits + lane.rows);
  for (const SlotTensor& slot : lane.slots) {
    trained->input_gradients.insert(trained->input_gradients.end(), slot.gradient,
                                    slot.gradient + slot.count * slot.dim);
  }
}

// Trains some steps with lanes split in contiguous blocks over `workers`, each of `threads`
// threads, whose sums are added as an all-reduce would.
Trained Train(int workers, int threads) {
  std::vector<std::unique_ptr<DenseBackend>> backends;
  for (int w = 0; w < workers; ++w) backends.push_back(Make(Options(kDin, threads)));
  ThreadPool pool(threads);
  Trained trained;
  for (int step = 1; step <= 4; ++step) {
    std::deque<LaneFixture> lanes = StepLanes(step);
    const auto count = static_cast<int64_t>(lanes.size());
    std::vector<int64_t> total;
    for (int w = 0; w < workers; ++w) {
      const int64_t begin = w * count / workers;
      const int64_t end = (w + 1) * count / workers;
      backends[w]->BeginStep();
      pool.ParallelFor(end - begin, [&](int64_t i, int thread) {
        const auto lane = static_cast<int32_t>(begin + i);
        backends[w]->RunLane(thread, {.step = step, .lane = lane}, true, lanes[lane].lane);
      });
      std::string what;
      EXPECT_FALSE(backends[w]->bad(&what)) << what;
      const std::span<int64_t> sums = backends[w]->Sums();
      total.resize(sums.size());
      for (size_t i = 0; i < sums.size(); ++i) total[i] += sums[i];
    }
    for (auto& backend : backends) {
      std::copy(total.begin(), total.end(), backend->Sums().begin());
      EXPECT_EQ(backend->Totals().rows, 5 * 17 + 1 + 9);
      EXPECT_FALSE(backend->Totals().bad);
      backend->ApplyStep(step, 1.0f);
    }
    trained.loss += backends.front()->Totals().loss_sum;
    for (LaneFixture& fixture : lanes) Append(fixture.lane, &trained);
  }
  trained.digest = backends.front()->Digest();
  for (auto& backend : backends) EXPECT_EQ(backend->Digest(), trained.digest);
  return trained;
}

TEST(CpuBackend, BitsDoNotDependOnThreadsOrWorkers) {
  const Trained one = Train(1, 1);
  EXPECT_NE(one.digest, Make(Options(kDin))->Digest()) << "nothing was learned";
  for (auto [workers, threads] :
       {std::pair(1, 2), {1, 3}, {2, 1}, {3, 1}, {8, 1}, {2, 2}, {3, 3}}) {
    SCOPED_TRACE(std::to_string(workers) + " workers of " + std::to_string(threads) + " threads");
    const Trained other = Train(workers, threads);
    EXPECT_EQ(other.digest, one.digest);
    EXPECT_EQ(other.loss, one.loss);
    EXPECT_EQ(other.logits, one.logits);
    EXPECT_EQ(other.input_gradients, one.input_gradients);
  }
}

// The sums of a lane's step under a loss; by its name, for messages.
std::vector<int64_t> SumsOf(const std::string& focal, const float* weights) {
  BackendOptions options = Options("base { mlp { units: [8] } }");
  if (!focal.empty()) options.loss.mutable_focal();
  auto backend = Make(options);
  LaneFixture fixture(TestInputs(), 3, 4, 1);
  fixture.lane.weights = weights;
  backend->BeginStep();
  backend->RunLane(0, {.step = 1, .lane = 0}, true, fixture.lane);
  const std::span<int64_t> sums = backend->Sums();
  EXPECT_EQ(backend->Totals().rows, 3);
  return {sums.begin(), sums.end() - 2};  // without rows and bad lanes
}

TEST(CpuBackend, RowsOfWeightTwoCountTwiceAndOfWeightZeroNot) {
  const float ones[] = {1, 1, 1}, twos[] = {2, 2, 2}, zeros[] = {0, 0, 0};
  for (const std::string loss : {"", "focal"}) {
    const std::vector<int64_t> plain = SumsOf(loss, nullptr), doubled = SumsOf(loss, twos);
    EXPECT_EQ(SumsOf(loss, ones), plain);
    EXPECT_EQ(SumsOf(loss, zeros), std::vector<int64_t>(plain.size(), 0));
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(doubled[i]), 2.0 * static_cast<double>(plain[i]), 2) << i;
    }
  }
  EXPECT_NE(SumsOf("", nullptr), SumsOf("focal", nullptr));
}

TEST(CpuBackend, TrainingLearns) {
  auto backend = Make(Options("base { mlp { units: [8] } }"));
  LaneFixture fixture(TestInputs(), 50, 4, 1);
  double first = 0, last = 0;
  for (int step = 1; step <= 200; ++step) {
    backend->BeginStep();
    backend->RunLane(0, {.step = step, .lane = 0}, true, fixture.lane);
    backend->Sums();
    last = backend->Totals().loss_sum;
    if (step == 1) first = last;
    backend->ApplyStep(step, 1.0f);
  }
  EXPECT_LT(last, 0.8 * first);
}

TEST(CpuBackend, EvaluationChangesNothingAndSumsLossAndRowsAlone) {
  auto backend = Make(Options(kDin));
  const uint64_t digest = backend->Digest();
  LaneFixture fixture(TestInputs(), 20, 4, 1);
  for (SlotTensor& slot : fixture.lane.slots) slot.gradient = nullptr;
  backend->BeginStep();
  backend->RunLane(0, {.step = 3, .lane = 0}, false, fixture.lane);
  int64_t others = 0;
  const std::span<int64_t> sums = backend->Sums();
  for (size_t i = 0; i + 3 < sums.size(); ++i) others |= sums[i];
  EXPECT_EQ(others, 0);
  EXPECT_EQ(backend->Totals().rows, 20);
  double loss = 0;
  for (int i = 0; i < 20; ++i) {
    const double z = fixture.lane.logits[i];
    loss += std::max(z, 0.0) - z * fixture.lane.labels[i] + std::log1p(std::exp(-std::abs(z)));
  }
  EXPECT_NEAR(backend->Totals().loss_sum, loss, 1e-4);
  EXPECT_EQ(backend->Digest(), digest);
}

TEST(CpuBackend, PredictionsOfARowDoNotDependOnItsLaneInEvaluation) {
  auto backend = Make(Options(kDin));
  LaneFixture fixture(TestInputs(), 20, 4, 1);
  backend->BeginStep();
  backend->RunLane(0, {.step = 0, .lane = 0}, false, fixture.lane);
  const float whole = fixture.lane.logits[0];
  LaneTensors one = fixture.lane;  // its first row alone
  one.rows = 1;
  for (SlotTensor& slot : one.slots) slot.count = slot.offsets ? slot.offsets[1] : 1;
  backend->RunLane(0, {.step = 0, .lane = 7}, false, one);
  EXPECT_NEAR(one.logits[0], whole, 1e-5);
}

std::span<float> State(DenseBackend* backend, const std::string& name) {
  for (auto& [slice, values] : backend->State()) {
    if (slice.name == name) return values;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

TEST(CpuBackend, ABadLaneAddsNothingAndNamesTheFirstTensor) {
  auto backend = Make(Options(kDin, 2));
  LaneFixture good(TestInputs(), 20, 4, 1);
  LaneFixture poisoned(TestInputs(), 20, 4, 2);
  poisoned.lane.slots[0].values[5] = std::numeric_limits<float>::quiet_NaN();
  backend->BeginStep();
  backend->RunLane(0, {.step = 1, .lane = 0}, true, good.lane);
  const std::span<int64_t> sums = backend->Sums();
  const std::vector<int64_t> before(sums.begin(), sums.end());
  EXPECT_FALSE(backend->bad(nullptr));

  backend->RunLane(1, {.step = 1, .lane = 6}, true, poisoned.lane);
  for (int lane : {5, 4, 7}) backend->RunLane(0, {.step = 1, .lane = lane}, true, poisoned.lane);
  std::string what;
  ASSERT_TRUE(backend->bad(&what));
  EXPECT_EQ(what, "sum of a lane's losses: NaN (lane 4)");
  std::vector<int64_t> after(backend->Sums().begin(), backend->Sums().end());
  EXPECT_TRUE(backend->Totals().bad);
  EXPECT_EQ(after.back(), 4);
  after.back() = 0;
  EXPECT_EQ(after, before);

  backend->BeginStep();
  EXPECT_FALSE(backend->bad(&what));
  backend->Sums();
  EXPECT_FALSE(backend->Totals().bad);
}

TEST(CpuBackend, ATermOutOfRangeIsBadAndNamed) {
  BackendOptions options = Options("base { mlp { units: 4 activation: LINEAR } }");
  auto backend = Make(options);
  LaneFixture fixture(TestInputs(), 20, 4, 1);
  for (int i = 0; i < 20 * 2; ++i) const_cast<float*>(fixture.lane.numeric)[i] = 30000.0f;
  std::span<float> weight = State(backend.get(), "mlp.0.weight");
  for (size_t i = weight.size() - 8; i < weight.size(); ++i) weight[i] = 0.0f;  // loss stays small
  backend->BeginStep();
  backend->RunLane(0, {.step = 1, .lane = 0}, true, fixture.lane);
  std::string what;
  ASSERT_TRUE(backend->bad(&what));
  EXPECT_TRUE(what.starts_with("gradient of mlp.0.weight: ")) << what;
  for (int64_t x : backend->Sums().first(backend->Sums().size() - 1)) EXPECT_EQ(x, 0);
}

TEST(CpuBackend, AStatisticThatNoLaneHadStays) {
  auto backend = Make(Options(kDin));
  LaneFixture without(TestInputs(), 20, 0, 1);  // nobody has a history
  const auto mean = State(backend.get(), "statistic/attention.0.dice.mean");
  const auto variance = State(backend.get(), "statistic/attention.0.dice.variance");
  const auto mlp = State(backend.get(), "statistic/mlp.0.norm.mean");
  backend->BeginStep();
  backend->RunLane(0, {.step = 1, .lane = 0}, true, without.lane);
  backend->Sums();
  backend->ApplyStep(1, 1.0f);
  for (float x : mean) EXPECT_EQ(x, 0.0f);
  for (float x : variance) EXPECT_EQ(x, 1.0f);
  for (float x : mlp) EXPECT_NE(x, 0.0f);
}

TEST(CpuBackend, StatisticsAverageOverTheLanesThatHadThem) {
  const std::string name = "statistic/attention.0.dice.mean";
  LaneFixture with(TestInputs(), 20, 5, 1);
  LaneFixture without(TestInputs(), 20, 0, 2);
  auto alone = Make(Options(kDin));
  auto both = Make(Options(kDin));
  for (DenseBackend* backend : {alone.get(), both.get()}) {
    backend->BeginStep();
    backend->RunLane(0, {.step = 1, .lane = 0}, true, with.lane);
    if (backend == both.get()) backend->RunLane(0, {.step = 1, .lane = 1}, true, without.lane);
    backend->Sums();
    backend->ApplyStep(1, 1.0f);
  }
  const auto a = State(alone.get(), name);
  const auto b = State(both.get(), name);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NE(a[i], 0.0f);
    EXPECT_EQ(a[i], b[i]);
  }
}

TEST(CpuBackend, AStepWithoutRowsChangesNothing) {
  auto backend = Make(Options(kDin));
  const uint64_t digest = backend->Digest();
  LaneFixture empty(TestInputs(), 0, 0, 1);
  backend->BeginStep();
  backend->RunLane(0, {.step = 1, .lane = 0}, true, empty.lane);
  backend->Sums();
  EXPECT_EQ(backend->Totals().rows, 0);
  backend->ApplyStep(1, 1.0f);
  EXPECT_EQ(backend->Digest(), digest);
}

TEST(CpuBackend, InputsThatTheLossIgnoresGetZeroGradients) {
  auto backend = Make(Options("base { mlp { units: 4 } }"));
  for (float& x : State(backend.get(), "mlp.output.weight")) x = 0.0f;
  LaneFixture fixture(TestInputs(), 5, 3, 1);
  backend->BeginStep();
  backend->RunLane(0, {.step = 1, .lane = 0}, true, fixture.lane);
  for (const SlotTensor& slot : fixture.lane.slots) {
    for (int64_t i = 0; i < slot.count * slot.dim; ++i) EXPECT_EQ(slot.gradient[i], 0.0f);
  }
}

TEST(CpuBackend, StateRestoresTheDigest) {
  auto trained = Make(Options(kDin));
  std::deque<LaneFixture> lanes = StepLanes(1);
  trained->BeginStep();
  for (int i = 0; i < 8; ++i) trained->RunLane(0, {.step = 1, .lane = i}, true, lanes[i].lane);
  trained->Sums();
  trained->ApplyStep(1, 1.0f);
  auto restored = Make(Options(kDin));
  EXPECT_NE(restored->Digest(), trained->Digest());
  auto from = trained->State();
  auto to = restored->State();
  ASSERT_EQ(from.size(), to.size());
  int64_t values = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(from[i].first.name, to[i].first.name);
    std::copy(from[i].second.begin(), from[i].second.end(), to[i].second.begin());
    values += static_cast<int64_t>(to[i].second.size());
  }
  EXPECT_EQ(restored->Digest(), trained->Digest());
  EXPECT_EQ(values, 3 * restored->parameters().size() + restored->statistics().size());
}

TEST(CpuBackend, EveryElementOfTheStateIsInTheDigest) {
  auto backend = Make(Options(kDin));
  const uint64_t digest = backend->Digest();
  for (auto& [slice, values] : backend->State()) {
    values.back() += 0.25f;
    EXPECT_NE(backend->Digest(), digest) << slice.name;
    values.back() -= 0.25f;
  }
}

TEST(CpuBackend, MistakesOfModelAndOptimizerComeTogether) {
  BackendOptions options = Options("din { candidate: 'item' history: 'none' }");
  options.optimizer.mutable_adam()->set_lr(-1.0f);
  auto made = MakeCpuBackend(options);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), StatusCode::kInvalidConfig);
  EXPECT_NE(made.status().ToString().find("model.din.history: no feature \"none\""),
            std::string::npos);
  EXPECT_NE(made.status().ToString().find("optimizer.dense.adam.lr: -1"), std::string::npos);
}

}  // namespace
}  // namespace trestle
