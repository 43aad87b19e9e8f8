#include "backend/model.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "backend/attention.h"
#include "backend/linear.h"
#include "backend/loss.h"
#include "backend/ops.h"
#include "tests/backend/lane_fixture.h"

namespace trestle {
namespace {

Model Config(const std::string& text) {
  Model config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

constexpr char kPair[] =
    "candidate: 'item' candidate: 'cate' history: 'hist_item' history: 'hist_cate' ";

std::string Din(const std::string& rest) { return std::string("din { ") + kPair + rest + " }"; }

struct BuiltModel {
  ParameterSet parameters{11};
  StatisticSet statistics;
  std::unique_ptr<NetworkModel> model;
};

std::unique_ptr<BuiltModel> Build(const std::string& config,
                                  const ModelInputSpec& inputs = TestInputs()) {
  auto built = std::make_unique<BuiltModel>();
  auto model = MakeModel(Config(config), inputs, 5, &built->parameters, &built->statistics);
  EXPECT_TRUE(model.ok()) << model.status().ToString();
  built->model = std::move(model).value();
  return built;
}

using Forward = std::function<Var(Tape&, const ModelInput&)>;

struct LaneRun {
  std::vector<float> logits;
  double loss = 0;
  std::vector<float> parameter_gradients;
  std::vector<float> input_gradients;  // of all slots, in order
  std::vector<float> lane_statistics;
};

// One lane through any forward code over the built model's parameters.
LaneRun RunLane(const BuiltModel& built, const Forward& forward, LaneTensors& lane,
                bool training = true, LanePosition position = {.step = 1, .lane = 0}) {
  Arena arena;
  Tape tape(&arena);
  LaneRun run;
  run.parameter_gradients.assign(built.parameters.size(), 0.0f);
  run.lane_statistics.assign(built.statistics.size(), 0.0f);
  tape.Reset({.training = training, .gradients = training}, position, built.parameters.values(),
             run.parameter_gradients, built.statistics.values(), run.lane_statistics);
  ModelInput input;
  input.rows = lane.rows;
  for (const SlotTensor& slot : lane.slots) {
    input.slots.push_back(
        tape.Input(slot.values, training ? slot.gradient : nullptr, slot.count, slot.dim));
    input.offsets.push_back(slot.offsets ? Offsets(slot.offsets, lane.rows + 1) : Offsets());
  }
  if (lane.numeric != nullptr) {
    input.numeric = tape.Input(const_cast<float*>(lane.numeric), nullptr, lane.rows, 2);
  }
  const Var logits = forward(tape, input);
  run.logits.assign(logits->value, logits->value + logits->size());
  const Var loss = LossSum(tape, logits, lane.labels, lane.weights, {});
  run.loss = *loss->value;
  if (!training) return run;
  tape.Backward(loss);
  for (const SlotTensor& slot : lane.slots) {
    run.input_gradients.insert(run.input_gradients.end(), slot.gradient,
                               slot.gradient + slot.count * slot.dim);
  }
  return run;
}

Forward Of(const BuiltModel& built) {
  return
      [&built](Tape& tape, const ModelInput& input) { return built.model->Forward(tape, input); };
}

void ExpectClose(const std::vector<float>& actual, const std::vector<float>& expected,
                 const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  float largest = 1e-3f;
  for (float x : expected) largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], 2e-5f * largest) << what << "[" << i << "]";
  }
}

// DIN from primitives alone, on the paper's [t; h; t-h; t*h], with the built model's parameters.
class TextbookDin {
 public:
  TextbookDin(const BuiltModel& built, bool dice, bool softmax)
      : built_(built), dice_(dice), softmax_(softmax) {}

  Var operator()(Tape& tape, const ModelInput& input) const {
    enum { kUser, kItem, kHistItem, kHistCate, kCate, kTags };
    const Var t = Concat(tape, {input.slots[kItem], input.slots[kCate]});
    const Var h = Concat(tape, {input.slots[kHistItem], input.slots[kHistCate]});
    const Offsets offsets = input.offsets[kHistItem];
    const Var tb = BroadcastToItems(tape, t, offsets);
    const Var unit = Concat(tape, {tb, h, Subtract(tape, tb, h), Multiply(tape, tb, h)});
    Var weights = Layers(tape, "attention", unit, 2);
    if (softmax_) {
      const float scale = 1.0f / std::sqrt(static_cast<float>(h->cols));
      weights = JaggedSoftmax(tape, Scale(tape, weights, scale), offsets);
    }
    const Var user = JaggedSum(tape, Multiply(tape, h, weights), offsets);
    const Var tags = JaggedSum(tape, input.slots[kTags], input.offsets[kTags]);
    return Layers(tape, "mlp", Concat(tape, {input.slots[kUser], tags, t, user, input.numeric}), 1);
  }

 private:
  static Var Concat(Tape& tape, std::vector<Var> parts) {
    return ConcatColumns<float>(tape, std::span<const Var>(parts));
  }
  template <class Set>
  static const FlatSlice& Named(const Set& set, const std::string& name) {
    for (const FlatSlice& slice : set.slices()) {
      if (slice.name == name) return slice;
    }
    ADD_FAILURE() << "no " << name;
    return set.slices().front();
  }
  Var Parameter(Tape& tape, const std::string& name) const {
    return tape.Parameter(Named(built_.parameters, name));
  }
  Var Product(Tape& tape, const std::string& name, Var x) const {
    return Add(tape, MatMul(tape, x, Parameter(tape, name + ".weight")),
               Parameter(tape, name + ".bias"));
  }
  Var Layers(Tape& tape, const std::string& name, Var x, int hidden) const {
    for (int i = 0; i < hidden; ++i) {
      const std::string layer = name + "." + std::to_string(i);
      x = Product(tape, layer, x);
      if (dice_) {
        x = Dice(tape, x, Parameter(tape, layer + ".dice.alpha"),
                 {&Named(built_.statistics, layer + ".dice.mean"),
                  &Named(built_.statistics, layer + ".dice.variance")});
      } else {
        x = PRelu(tape, x, Parameter(tape, layer + ".prelu"));
      }
    }
    return Product(tape, name + ".output", x);
  }

  const BuiltModel& built_;
  bool dice_;
  bool softmax_;
};

TEST(Din, EqualsItsTextbookFormInPrimitives) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    const bool dice = seed % 2;
    const bool softmax = seed % 4 < 2;
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::string activation = dice ? "activation: DICE" : "activation: PRELU";
    auto built =
        Build(Din("attention { units: [7, 5] " + activation + (softmax ? " weights: SOFTMAX" : "") +
                  " } mlp { units: 6 " + activation + " }"));
    LaneFixture fixture(TestInputs(), 1 + static_cast<int64_t>(seed * 5), seed % 3 ? 9 : 1, seed);
    const LaneRun run = RunLane(*built, Of(*built), fixture.lane);
    const LaneRun textbook = RunLane(*built, TextbookDin(*built, dice, softmax), fixture.lane);
    ExpectClose(run.logits, textbook.logits, "logits");
    ExpectClose(run.input_gradients, textbook.input_gradients, "input gradients");
    ExpectClose(run.parameter_gradients, textbook.parameter_gradients, "parameter gradients");
    ExpectClose(run.lane_statistics, textbook.lane_statistics, "statistics");
  }
}

// Along the gradient itself the loss must rise by |gradient|^2 per unit.
void ExpectGradientIsTheSlope(const std::string& config) {
  SCOPED_TRACE(config);
  auto built = Build(config);
  LaneFixture fixture(TestInputs(), 40, 6, 21);
  const LaneRun at = RunLane(*built, Of(*built), fixture.lane);
  double squares = 0.0;
  for (float g : at.parameter_gradients) squares += double{g} * g;
  const std::vector<float> start(built->parameters.values().begin(),
                                 built->parameters.values().end());
  const double h = 5e-3 / std::sqrt(squares);
  auto loss_at = [&](double t) {
    for (size_t i = 0; i < start.size(); ++i) {
      built->parameters.values()[i] = static_cast<float>(start[i] + t * at.parameter_gradients[i]);
    }
    return RunLane(*built, Of(*built), fixture.lane).loss;
  };
  const double slope = (loss_at(h) - loss_at(-h)) / (2 * h);
  EXPECT_NEAR(slope / squares, 1.0, 0.02);
}

TEST(Model, ParameterGradientIsTheSlopeOfTheLoss) {
  ExpectGradientIsTheSlope("base { mlp { units: [8, 6] activation: SIGMOID batch_norm: true } }");
  ExpectGradientIsTheSlope("base { pooling: MEAN mlp { units: 8 activation: DICE dropout: 0.3 } }");
  ExpectGradientIsTheSlope(
      Din("attention { units: 6 activation: SIGMOID } mlp { units: 8 activation: TANH }"));
  ExpectGradientIsTheSlope(
      Din("attention { units: 6 activation: DICE weights: SOFTMAX dropout: 0.2 } "
          "mlp { units: 8 activation: DICE }"));
}

std::string Names(const std::vector<FlatSlice>& slices) {
  std::string all;
  for (const FlatSlice& slice : slices) {
    all += slice.name + " " + std::to_string(slice.rows) + "x" + std::to_string(slice.cols) +
           (slice.regularized ? " regularized" : "") + "\n";
  }
  return all;
}

TEST(Model, DinRegistersItsLayersUnderDottedNames) {
  auto built =
      Build(Din("attention { units: 5 activation: DICE } mlp { units: 4 batch_norm: true }"));
  EXPECT_EQ(Names(built->parameters.slices()),
            "attention.0.weight 24x5 regularized\n"
            "attention.0.bias 1x5\n"
            "attention.0.dice.alpha 1x5\n"
            "attention.output.weight 5x1 regularized\n"
            "attention.output.bias 1x1\n"
            "mlp.0.weight 20x4 regularized\n"  // user 3, tags 3, t 6, v 6, numeric 2
            "mlp.0.bias 1x4\n"
            "mlp.0.prelu 1x4\n"
            "mlp.0.norm.gain 1x4\n"
            "mlp.0.norm.bias 1x4\n"
            "mlp.output.weight 4x1 regularized\n"
            "mlp.output.bias 1x1\n");
  EXPECT_EQ(Names(built->statistics.slices()),
            "attention.0.dice.mean 1x5\n"
            "attention.0.dice.variance 1x5\n"
            "mlp.0.norm.mean 1x4\n"
            "mlp.0.norm.variance 1x4\n");
}

TEST(Model, DefaultsAreThoseOfTheSettingsMessages) {
  auto built = Build(Din(""));
  const std::string names = Names(built->parameters.slices());
  for (const char* expected : {"attention.0.weight 24x80", "attention.1.weight 80x40",
                               "attention.output.weight 40x1", "attention.0.prelu 1x80",
                               "mlp.0.weight 20x200", "mlp.1.weight 200x80", "mlp.1.prelu 1x80"}) {
    EXPECT_NE(names.find(expected), std::string::npos) << expected << " is not in\n" << names;
  }
  for (const FlatSlice& slice : built->parameters.slices()) {
    const float first = std::as_const(built->parameters).values()[slice.offset];
    if (slice.name.ends_with(".prelu")) {
      EXPECT_EQ(first, 0.1f) << slice.name;
    }
    if (slice.name.ends_with(".bias")) {
      EXPECT_EQ(first, 0.0f) << slice.name;
    }
    if (slice.regularized) {
      EXPECT_NE(first, 0.0f) << slice.name;
    }
  }
}

TEST(Model, DropoutIsOffInEvaluationAndDiffersByStepInTraining) {
  auto built = Build("base { mlp { units: 32 dropout: 0.5 } }");
  auto without = Build("base { mlp { units: 32 } }");
  LaneFixture fixture(TestInputs(), 8, 3, 2);
  auto logits = [&](const BuiltModel& model, bool training, LanePosition position) {
    return RunLane(model, Of(model), fixture.lane, training, position).logits;
  };
  EXPECT_EQ(logits(*built, false, {1, 0}), logits(*without, false, {2, 3}));
  EXPECT_EQ(logits(*built, true, {1, 0}), logits(*built, true, {1, 0}));
  EXPECT_NE(logits(*built, true, {1, 0}), logits(*built, true, {2, 0}));
  EXPECT_NE(logits(*built, true, {1, 0}), logits(*built, true, {1, 1}));
}

TEST(Model, DropoutMasksOfLayersDiffer) {
  // One row, every hidden unit 1 before its mask: the gradients of layer 1 then show both masks.
  auto built = Build("base { mlp { units: [32, 32] dropout: 0.5 activation: LINEAR } }");
  for (const FlatSlice& slice : built->parameters.slices()) {
    const bool output = slice.name == "mlp.output.weight";  // small: the logit must not saturate
    const float value = output ? 0.01f : slice.name.ends_with(".bias") ? 1.0f : 0.0f;
    const auto values = built->parameters.values().subspan(slice.offset, slice.size());
    std::fill(values.begin(), values.end(), value);
  }
  LaneFixture fixture(TestInputs(), 1, 3, 2);
  const LaneRun run = RunLane(*built, Of(*built), fixture.lane);
  std::vector<bool> first, second;
  const FlatSlice& weight = built->parameters.slices()[2];
  const FlatSlice& bias = built->parameters.slices()[3];
  ASSERT_EQ(weight.name, "mlp.1.weight");
  for (int unit = 0; unit < 32; ++unit) {
    const float* row = &run.parameter_gradients[weight.offset + 32 * unit];
    first.push_back(std::any_of(row, row + 32, [](float g) { return g != 0.0f; }));
    second.push_back(run.parameter_gradients[bias.offset + unit] != 0.0f);
  }
  EXPECT_GT(std::count(first.begin(), first.end(), true), 4);
  EXPECT_GT(std::count(first.begin(), first.end(), false), 4);
  EXPECT_NE(first, second);
}

TEST(Model, OneFeatureIsEnough) {
  ModelInputSpec inputs;
  inputs.slots = {{"only", 3}};
  auto built = Build("base { mlp { units: 4 } }", inputs);
  LaneFixture fixture(inputs, 6, 0, 3);
  fixture.lane.numeric = nullptr;
  EXPECT_EQ(RunLane(*built, Of(*built), fixture.lane).logits.size(), 6u);
}

// As sequences are that the model pools in the same way.
TEST(Model, BagsArePooledAsTheySayInEveryModel) {
  ModelInputSpec bags = TestInputs();
  bags.slots.back().pooling = SQRTN;  // the tags
  ModelInputSpec tags_alone = bags;
  tags_alone.slots = {{"user", 3}, {"tags", 3, 0, SQRTN}};
  ModelInputSpec sequences = tags_alone;
  sequences.slots.back().pooling.reset();
  const auto logits = [](const std::string& config, const ModelInputSpec& inputs) {
    const auto built = Build(config, inputs);
    LaneFixture fixture(inputs, 9, 4, 3);
    return RunLane(*built, Of(*built), fixture.lane).logits;
  };
  EXPECT_EQ(logits("base { pooling: MEAN }", tags_alone),
            logits("base { pooling: SQRTN }", sequences));
  EXPECT_NE(logits("base { pooling: MEAN }", tags_alone),
            logits("base { pooling: MEAN }", sequences));
  EXPECT_EQ(logits(Din("pooling: MEAN"), bags), logits(Din("pooling: SQRTN"), TestInputs()));
}

std::string Error(const std::string& config, const ModelInputSpec& inputs = TestInputs()) {
  ParameterSet parameters(1);
  StatisticSet statistics;
  auto model = MakeModel(Config(config), inputs, 1, &parameters, &statistics);
  EXPECT_FALSE(model.ok()) << config;
  if (model.ok()) return "";
  EXPECT_EQ(model.status().code(), StatusCode::kInvalidConfig);
  EXPECT_EQ(parameters.size(), 0) << "a refused model registered something";
  return model.status().ToString();
}

TEST(ModelErrors, AnUnknownFeatureIsNamedWithTheNearestAndAllThereAre) {
  EXPECT_EQ(Error("din { candidate: 'itme' history: 'hist_item' }"),
            "model.din.candidate: no feature \"itme\"; did you mean \"item\"? id features: user, "
            "item, cate");
  EXPECT_EQ(
      Error("din { candidate: 'item' history: 'zzzzzzzzz' }"),
      "model.din.history: no feature \"zzzzzzzzz\"; sequence features: hist_item, hist_cate, tags");
}

TEST(ModelErrors, AFeatureOfTheWrongKindOrNamedTwice) {
  EXPECT_EQ(Error("din { candidate: 'tags' history: 'hist_item' }"),
            "model.din.candidate: \"tags\" is a sequence feature, must be an id; id features: "
            "user, item, cate");
  EXPECT_EQ(
      Error(
          "din { candidate: 'item' candidate: 'item' history: 'hist_item' history: 'hist_cate' }"),
      "model.din.candidate: \"item\" is named twice");
}

TEST(ModelErrors, ABagIsNoHistory) {
  ModelInputSpec bags = TestInputs();
  bags.slots.back().pooling = MEAN;
  EXPECT_EQ(Error("din { candidate: 'item' history: 'tags' }", bags),
            "model.din.history: \"tags\" is a bag feature, must be a sequence; sequence features: "
            "hist_item, hist_cate");
}

TEST(ModelErrors, CandidateAndHistoryMustPair) {
  EXPECT_EQ(Error("din { candidate: 'item' candidate: 'cate' history: 'hist_item' }"),
            "model.din: 2 candidate and 1 history features; must be as many");
  EXPECT_EQ(
      Error("din { candidate: 'cate' history: 'hist_item' }"),
      "model.din: candidate \"cate\" has dim 2, history \"hist_item\" has dim 4; must be equal "
      "(`like` shares one table)");
  EXPECT_EQ(
      Error("din { candidate: 'item' candidate: 'user' history: 'hist_item' history: 'tags' }"),
      "model.din.history: \"tags\" and \"hist_item\" are of different sequences; put them into one "
      "`sequence` so that they have the same items");
}

TEST(ModelErrors, AllMistakesAtOnce) {
  const std::string error = Error(
      "din { history: 'hist_item' attention { units: [80, 0] dropout: 1 } mlp { units: -3 dropout: "
      "-0.5 } }");
  for (const char* part : {"model.din.candidate: is empty; name at least one id feature; id "
                           "features: user, item, cate",
                           "model.din.attention.units[1]: 0 is not allowed; must be in [1, 65536]",
                           "model.din.attention.dropout: 1 is not allowed; must be in [0, 1)",
                           "model.din.mlp.units[0]: -3 is not allowed; must be in [1, 65536]",
                           "model.din.mlp.dropout: -0.5 is not allowed; must be in [0, 1)"}) {
    EXPECT_NE(error.find(part), std::string::npos) << part << "\nis not in\n" << error;
  }
}

TEST(ModelErrors, NoModelAndNoFeatures) {
  EXPECT_EQ(Error(""),
            "model: none is chosen; write one of base, din, for example model { base {} }");
  EXPECT_EQ(Error("base {}", {}),
            "model.base: there are no features; name at least one in `features`");
}

}  // namespace
}  // namespace trestle
