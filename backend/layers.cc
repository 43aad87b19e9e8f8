#include "backend/layers.h"

#include <glog/logging.h>

#include <cmath>

#include "backend/activated_linear.h"
#include "backend/attention.h"
#include "backend/linear.h"
#include "backend/ops.h"
#include "base/hash.h"

namespace trestle {
namespace {

constexpr float kPReluInitialSlope = 0.1f;
constexpr float kDiceRho = 0.01f;
constexpr float kBatchNormRho = 0.1f;

constexpr ParameterInit kZero{ParameterInit::Kind::kConstant, 0.0f};
constexpr ParameterInit kOne{ParameterInit::Kind::kConstant, 1.0f};

FlatSlice AddParameter(const LayerContext& context, const std::string& name, int rows, int cols,
                       ParameterInit init, bool regularized = false) {
  return context.parameters->slice(context.parameters->Add(name, rows, cols, init, regularized));
}

FlatSlice AddStatistic(const LayerContext& context, const std::string& name, int cols,
                       float initial, float rho) {
  return context.statistics->slice(context.statistics->Add(name, cols, initial, rho));
}

// The activation unit's scorer is an MLP with the same names for the same things.
Mlp ScorerSettings(const Attention& settings) {
  Mlp mlp;
  *mlp.mutable_units() = settings.units();
  mlp.set_activation(settings.activation());
  mlp.set_dropout(settings.dropout());
  return mlp;
}

}  // namespace

Mlp WithDefaults(Mlp settings) {
  if (settings.units().empty()) {
    for (int units : {200, 80}) settings.add_units(units);
  }
  return settings;
}

Attention WithDefaults(Attention settings) {
  if (settings.units().empty()) {
    for (int units : {80, 40}) settings.add_units(units);
  }
  return settings;
}

void CheckMlp(const Mlp& settings, const std::string& field, ConfigCheck* check) {
  constexpr int kMostUnits = 1 << 16;  // a wider layer is a typing error, not a model
  for (int i = 0; i < settings.units_size(); ++i) {
    const int units = settings.units(i);
    check->Require(units > 0 && units <= kMostUnits, field + ".units[" + std::to_string(i) + "]",
                   units, "in [1, 65536]");
  }
  check->Require(settings.dropout() >= 0.0f && settings.dropout() < 1.0f, field + ".dropout",
                 settings.dropout(), "in [0, 1)");
}

void CheckAttention(const Attention& settings, const std::string& field, ConfigCheck* check) {
  CheckMlp(ScorerSettings(settings), field, check);
}

LinearLayer::LinearLayer(const LayerContext& context, const std::string& name, int inputs,
                         int outputs)
    : weight_(AddParameter(context, name + ".weight", inputs, outputs,
                           {ParameterInit::Kind::kGlorotNormal}, /*regularized=*/true)),
      bias_(AddParameter(context, name + ".bias", 1, outputs, kZero)) {}

Var LinearLayer::Forward(Tape& tape, Var x) const {
  return Linear(tape, x, Weight(tape), Bias(tape));
}

ActivationLayer::ActivationLayer(const LayerContext& context, const std::string& name,
                                 Activation kind, int width)
    : kind_(kind) {
  if (kind == PRELU) {
    parameter_ = AddParameter(context, name + ".prelu", 1, width,
                              {ParameterInit::Kind::kConstant, kPReluInitialSlope});
  } else if (kind == DICE) {
    parameter_ = AddParameter(context, name + ".dice.alpha", 1, width, kZero);
    mean_ = AddStatistic(context, name + ".dice.mean", width, 0.0f, kDiceRho);
    variance_ = AddStatistic(context, name + ".dice.variance", width, 1.0f, kDiceRho);
  }
}

Var ActivationLayer::Forward(Tape& tape, Var x) const {
  switch (kind_) {
    case PRELU:
      return PRelu(tape, x, tape.Parameter(parameter_));
    case DICE:
      return Dice(tape, x, tape.Parameter(parameter_), {&mean_, &variance_});
    case SIGMOID:
      return Sigmoid(tape, x);
    case RELU:
      return Relu(tape, x);
    case TANH:
      return Tanh(tape, x);
    case LINEAR:
      return x;
    default:
      LOG(FATAL) << "activation " << kind_ << " is not one of layers.proto";
  }
}

Var ActivationLayer::ForwardInto(Tape& tape, Var x, const LinearLayer& next) const {
  using Kind = RowActivation<float>::Kind;
  RowActivation<float> activation;
  switch (kind_) {
    case PRELU:
      activation = {Kind::kPRelu, tape.Parameter(parameter_)};
      break;
    case DICE:
      activation = {Kind::kDice, tape.Parameter(parameter_), {&mean_, &variance_}};
      break;
    case SIGMOID:
      activation = {Kind::kSigmoid};
      break;
    case RELU:
      activation = {Kind::kRelu};
      break;
    case TANH:
      activation = {Kind::kTanh};
      break;
    default:
      return next.Forward(tape, Forward(tape, x));
  }
  return ActivatedLinear(tape, x, activation, next.Weight(tape), next.Bias(tape));
}

HiddenTail::HiddenTail(const LayerContext& context, const std::string& name, const Mlp& settings,
                       int width)
    : batch_norm_(settings.batch_norm()),
      activation_(context, name, settings.activation(), width),
      dropout_(settings.dropout()),
      dropout_seed_(DeriveSeed(context.seed, name + ".dropout")) {
  if (!batch_norm_) return;
  gain_ = AddParameter(context, name + ".norm.gain", 1, width, kOne);
  bias_ = AddParameter(context, name + ".norm.bias", 1, width, kZero);
  mean_ = AddStatistic(context, name + ".norm.mean", width, 0.0f, kBatchNormRho);
  variance_ = AddStatistic(context, name + ".norm.variance", width, 1.0f, kBatchNormRho);
}

Var HiddenTail::Forward(Tape& tape, Var product) const {
  Var x = product;
  if (batch_norm_) {
    x = BatchNorm(tape, x, tape.Parameter(gain_), tape.Parameter(bias_), {&mean_, &variance_});
  }
  x = activation_.Forward(tape, x);
  if (dropout_ > 0.0f) x = Dropout(tape, x, dropout_, dropout_seed_);
  return x;
}

Var HiddenTail::ForwardInto(Tape& tape, Var product, const LinearLayer& next) const {
  if (batch_norm_ || dropout_ > 0.0f) return next.Forward(tape, Forward(tape, product));
  return activation_.ForwardInto(tape, product, next);
}

MlpLayer::MlpLayer(const LayerContext& context, const std::string& name, const Mlp& settings,
                   int inputs) {
  CHECK(!settings.units().empty()) << name << ": resolve defaults first";
  int width = inputs;
  for (int i = 0; i < settings.units_size(); ++i) {
    const std::string layer = name + "." + std::to_string(i);
    linears_.emplace_back(context, layer, width, settings.units(i));
    width = settings.units(i);
    tails_.emplace_back(context, layer, settings, width);
  }
  linears_.emplace_back(context, name + ".output", width, 1);
  hidden_units_ = width;
}

Var MlpLayer::Forward(Tape& tape, Var x, Var* last_hidden) const {
  return ForwardFromProduct(tape, first().Forward(tape, x), last_hidden);
}

Var MlpLayer::ForwardFromProduct(Tape& tape, Var product, Var* last_hidden) const {
  for (size_t i = 0; i < tails_.size(); ++i) {
    const bool last = i + 1 == tails_.size();
    if (last && last_hidden != nullptr) *last_hidden = tails_[i].Forward(tape, product);
    product = tails_[i].ForwardInto(tape, product, linears_[i + 1]);
  }
  return product;
}

AttentionUnit::AttentionUnit(const LayerContext& context, const std::string& name,
                             const Attention& settings, int dim)
    : weights_(settings.weights()),
      softmax_scale_(1.0f / std::sqrt(static_cast<float>(dim))),
      scorer_(context, name, ScorerSettings(settings), 4 * dim) {}

Var AttentionUnit::Forward(Tape& tape, Var candidate, Var history, Offsets offsets,
                           Var* weights_out) const {
  const LinearLayer& first = scorer_.first();
  Var product =
      AttentionInput(tape, candidate, history, offsets, first.Weight(tape), first.Bias(tape));
  Var weights = scorer_.ForwardFromProduct(tape, product);
  if (weights_ == Attention::SOFTMAX) {
    weights = JaggedSoftmax(tape, Scale(tape, weights, softmax_scale_), offsets);
  }
  if (weights_out != nullptr) *weights_out = weights;
  return JaggedWeightedSum(tape, history, weights, offsets);
}

}  // namespace trestle
