// What models show beside logits: it is what the logits are made of, and asking changes no bit.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "backend/bridge.h"
#include "tests/backend/lane_fixture.h"

namespace trestle {
namespace {

constexpr int kRows = 17;

std::unique_ptr<DenseBackend> Make(const std::string& model) {
  BackendOptions options;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(model, &options.model)) << model;
  options.inputs = TestInputs();
  options.seed = 9;
  return MakeCpuBackend(options).value();
}

std::span<float> State(DenseBackend* backend, const std::string& name) {
  for (auto& [slice, values] : backend->State()) {
    if (slice.name == name) return values;
  }
  ADD_FAILURE() << name;
  return {};
}

// The logits of a lane whose outputs are wanted, which must be those of one where they are not.
std::vector<float> Logits(DenseBackend* backend, LaneFixture* fixture, LaneOutputs* outputs) {
  LaneTensors& lane = fixture->lane;
  backend->BeginStep();
  backend->RunLane(0, {.step = 1, .lane = 0}, false, lane);
  const std::vector<float> plain(lane.logits, lane.logits + lane.rows);
  lane.outputs = outputs;
  backend->RunLane(0, {.step = 1, .lane = 0}, false, lane);
  EXPECT_EQ(std::vector<float>(lane.logits, lane.logits + lane.rows), plain);
  return plain;
}

// logit = hidden W + b of the output layer.
void ExpectLogits(DenseBackend* backend, const std::vector<float>& hidden, size_t units,
                  const std::vector<float>& logits) {
  ASSERT_EQ(hidden.size(), logits.size() * units);
  const auto weight = State(backend, "mlp.output.weight");
  for (size_t row = 0; row < logits.size(); ++row) {
    float sum = State(backend, "mlp.output.bias")[0];
    for (size_t i = 0; i < units; ++i) sum += hidden[row * units + i] * weight[i];
    EXPECT_NEAR(sum, logits[row], 1e-5) << row;
  }
}

TEST(ModelOutputs, OfDinAreItsWeightsItsCandidateItsHistoryAndTheLastLayer) {
  for (const std::string weights : {"RAW", "SOFTMAX"}) {
    SCOPED_TRACE(weights);
    const auto backend = Make(
        "din { candidate: 'item' candidate: 'cate' history: 'hist_item' history: 'hist_cate' "
        "attention { units: 5 activation: DICE weights: " +
        weights + " } mlp { units: 7 units: 6 activation: DICE } }");
    const ModelOutputSpec spec = backend->outputs();
    ASSERT_EQ(spec.attention, std::vector<int>{0});
    ASSERT_EQ(spec.embeddings.size(), 3u);
    EXPECT_EQ(spec.embeddings[0].name + spec.embeddings[1].name + spec.embeddings[2].name,
              "candidatehistoryhidden");
    EXPECT_EQ(spec.embeddings[1].dim, 6);
    LaneFixture fixture(TestInputs(), kRows, 6, 5);
    LaneOutputs outputs;
    const auto logits = Logits(backend.get(), &fixture, &outputs);
    ExpectLogits(backend.get(), outputs.embeddings[2], 6, logits);

    const SlotTensor &item = fixture.lane.slots[1], &cate = fixture.lane.slots[4];
    const SlotTensor &items = fixture.lane.slots[2], &cates = fixture.lane.slots[3];
    ASSERT_EQ(static_cast<int64_t>(outputs.attention[0].size()), items.count);
    for (int64_t row = 0; row < kRows; ++row) {
      const float* const candidate = outputs.embeddings[0].data() + row * 6;
      EXPECT_TRUE(std::equal(candidate, candidate + 4, item.values + row * 4));
      EXPECT_TRUE(std::equal(candidate + 4, candidate + 6, cate.values + row * 2));
      float pooled[6] = {}, total = 0;
      for (int32_t i = items.offsets[row]; i < items.offsets[row + 1]; ++i) {
        const float w = outputs.attention[0][static_cast<size_t>(i)];
        total += w;
        for (int d = 0; d < 4; ++d) pooled[d] += w * items.values[i * 4 + d];
        for (int d = 0; d < 2; ++d) pooled[4 + d] += w * cates.values[i * 2 + d];
      }
      for (int d = 0; d < 6; ++d) {
        EXPECT_NEAR(outputs.embeddings[1][static_cast<size_t>(row * 6 + d)], pooled[d], 1e-5);
      }
      const bool some = items.offsets[row + 1] > items.offsets[row];
      if (weights == "SOFTMAX" && some) {
        EXPECT_NEAR(total, 1, 1e-5);
      }
    }
  }
}

TEST(ModelOutputs, OfBaseAreTheLastLayerWithBatchNormAndDropoutToo) {
  const auto backend =
      Make("base { mlp { units: 8 units: 4 activation: PRELU batch_norm: true dropout: 0.3 } }");
  EXPECT_TRUE(backend->outputs().attention.empty());
  LaneFixture fixture(TestInputs(), kRows, 6, 6);
  LaneOutputs outputs;
  const auto logits = Logits(backend.get(), &fixture, &outputs);
  ASSERT_EQ(outputs.embeddings.size(), 1u);
  ExpectLogits(backend.get(), outputs.embeddings[0], 4, logits);
}

}  // namespace
}  // namespace trestle
