// Layers: they own parameters (slices of the model's ParameterSet, registered under dotted names)
// and call operators. A model composes them; whatever a step computes is on the tape.
//
// Names: "mlp.0.weight", "mlp.0.bias", "mlp.0.norm.gain", "mlp.0.prelu", "mlp.0.dice.alpha", and
// "mlp.output.weight" of the last layer. They are the names in model files.
//
// Thread safety: construction by one thread; Forward is const and safe from any thread with its own
// tape. Ownership: a layer keeps copies of its slices and no pointer to the sets; values reach it
// through the tape. Errors: settings must have passed their Check function (else CHECK).
// Source: MODELS formulas, docs/models.md; Dice and the activation unit are DIN's (KDD 2018).
#pragma once

#include <string>
#include <vector>

#include "backend/config_check.h"
#include "backend/layers.pb.h"
#include "backend/parameters.h"
#include "backend/tape.h"

namespace trestle {

// Where layers register what they own. `seed` feeds dropout.
struct LayerContext {
  ParameterSet* parameters;
  StatisticSet* statistics;
  uint64_t seed;
};

// Settings with the defaults of layers.proto filled in: the one place that knows them.
Mlp WithDefaults(Mlp settings);
Attention WithDefaults(Attention settings);
// Adds what is out of range; `field` is the settings' path in the config, "model.din.mlp".
void CheckMlp(const Mlp& settings, const std::string& field, ConfigCheck* check);
void CheckAttention(const Attention& settings, const std::string& field, ConfigCheck* check);

// x W + b, W Glorot normal and regularized, b zero.
class LinearLayer {
 public:
  LinearLayer(const LayerContext& context, const std::string& name, int inputs, int outputs);
  Var Forward(Tape& tape, Var x) const;
  Var Weight(Tape& tape) const { return tape.Parameter(weight_); }
  Var Bias(Tape& tape) const { return tape.Parameter(bias_); }

 private:
  FlatSlice weight_;
  FlatSlice bias_;
};

class ActivationLayer {
 public:
  ActivationLayer(const LayerContext& context, const std::string& name, Activation kind, int width);
  Var Forward(Tape& tape, Var x) const;
  // next(Forward(x)), as one operator.
  Var ForwardInto(Tape& tape, Var x, const LinearLayer& next) const;

 private:
  Activation kind_;
  FlatSlice parameter_;  // PReLU's slope or Dice's alpha
  FlatSlice mean_;       // Dice's running statistics
  FlatSlice variance_;
};

// What follows the product of a hidden layer: [batch norm] -> activation -> [dropout].
class HiddenTail {
 public:
  HiddenTail(const LayerContext& context, const std::string& name, const Mlp& settings, int width);
  // The next layer's product of what follows: as one operator (activated_linear.h) where neither
  // batch norm nor dropout stands between, since that halves the memory traffic of wide lanes.
  Var ForwardInto(Tape& tape, Var product, const LinearLayer& next) const;
  Var Forward(Tape& tape, Var product) const;

 private:
  bool batch_norm_;
  FlatSlice gain_;
  FlatSlice bias_;
  FlatSlice mean_;
  FlatSlice variance_;
  ActivationLayer activation_;
  float dropout_;
  uint64_t dropout_seed_;
};

// Hidden layers and a linear output of one unit: [rows, inputs] -> [rows, 1].
class MlpLayer {
 public:
  MlpLayer(const LayerContext& context, const std::string& name, const Mlp& settings, int inputs);
  // `last_hidden`, where it is given, is what the output layer reads, [rows, hidden_units()]. It is
  // computed beside the result, whose bits stay; in evaluation alone.
  Var Forward(Tape& tape, Var x, Var* last_hidden = nullptr) const;
  // The same from the first hidden layer's product on, for callers that compute it in another form.
  Var ForwardFromProduct(Tape& tape, Var product, Var* last_hidden = nullptr) const;
  int hidden_units() const { return hidden_units_; }
  const LinearLayer& first() const { return linears_.front(); }

 private:
  std::vector<LinearLayer> linears_;  // hidden layers, then the output
  std::vector<HiddenTail> tails_;     // one a hidden layer
  int hidden_units_ = 0;              // of the last one
};

// DIN's local activation unit and the pooling it weighs: candidate t [rows, d], history h [total,
// d]
// -> sum_j w_j h_j [rows, d], with w_j = MLP([t; h_j; t-h_j; t*h_j]) as it is, or its softmax over
// the row's items of score / sqrt(d). Rows without items give zeros.
class AttentionUnit {
 public:
  AttentionUnit(const LayerContext& context, const std::string& name, const Attention& settings,
                int dim);
  // `weights_out`, where it is given, becomes the w_j, [total, 1].
  Var Forward(Tape& tape, Var candidate, Var history, Offsets offsets,
              Var* weights_out = nullptr) const;

 private:
  Attention::Weights weights_;
  float softmax_scale_;
  MlpLayer scorer_;
};

}  // namespace trestle
