#include <cmath>
#include <sstream>

#include "base/hash.h"
#include "embedding/table.h"

namespace trestle {
namespace {

constexpr int kMaxDim = 8192;

// Remembers the first field that is out of range. NaN fails every check.
class FieldCheck {
 public:
  explicit FieldCheck(std::string prefix) : prefix_(std::move(prefix)) {}

  void Above(const char* field, double value, double bound) {
    if (!(value > bound) || std::isinf(value)) Fail(field, value, "not above ", bound);
  }
  void AtLeast(const char* field, double value, double bound) {
    if (!(value >= bound) || std::isinf(value)) Fail(field, value, "not at least ", bound);
  }
  void Below(const char* field, double value, double bound) {
    if (!(value < bound)) Fail(field, value, "not below ", bound);
  }
  void AtMost(const char* field, double value, double bound) {
    if (!(value <= bound)) Fail(field, value, "not at most ", bound);
  }
  void Finite(const char* field, double value) {
    if (!std::isfinite(value)) Fail(field, value, "not a finite number", {});
  }
  // What is wrong with more than one field's range; `text` begins with the field.
  void Fail(const std::string& text) {
    if (status_.ok()) status_ = Status(StatusCode::kInvalidConfig, prefix_ + text);
  }
  const Status& status() const { return status_; }

 private:
  void Fail(const char* field, double value, const char* what, std::optional<double> bound) {
    std::ostringstream text;
    text << field << ": " << value << " is " << what;
    if (bound) text << *bound;
    Fail(text.str());
  }

  std::string prefix_;
  Status status_;
};

void CheckInitializer(Initializer& init, FieldCheck& check) {
  switch (init.kind_case()) {
    case Initializer::kConstant:
      check.Finite("initializer.constant.value", init.constant().value());
      break;
    case Initializer::kUniform:
      check.Finite("initializer.uniform.low", init.uniform().low());
      check.Above("initializer.uniform.high", init.uniform().high(), init.uniform().low());
      break;
    case Initializer::KIND_NOT_SET:
    case Initializer::kNormal: {
      auto* normal = init.mutable_normal();
      if (!normal->has_std()) normal->set_std(0.01f);
      check.Finite("initializer.normal.mean", normal->mean());
      check.AtLeast("initializer.normal.std", normal->std(), 0);
      break;
    }
    case Initializer::kTruncatedNormal: {
      auto* normal = init.mutable_truncated_normal();
      if (!normal->has_std()) normal->set_std(0.05f);
      check.Finite("initializer.truncated_normal.mean", normal->mean());
      check.AtLeast("initializer.truncated_normal.std", normal->std(), 0);
      break;
    }
    case Initializer::kXavier:
      check.AtLeast("initializer.xavier.rows", static_cast<double>(init.xavier().rows()), 1);
      break;
  }
}

// Adagrad and its row-wise form have the same settings.
template <class Message>
void CheckAdagrad(Message* adagrad, const std::string& field, FieldCheck& check) {
  if (!adagrad->has_lr()) adagrad->set_lr(0.01f);
  if (!adagrad->has_initial_accumulator()) adagrad->set_initial_accumulator(0.0f);
  if (!adagrad->has_epsilon()) adagrad->set_epsilon(1e-10f);
  check.Above((field + ".lr").c_str(), adagrad->lr(), 0);
  check.AtLeast((field + ".initial_accumulator").c_str(), adagrad->initial_accumulator(), 0);
  // 0 / (sqrt(0) + 0) would be NaN at the first gradient of 0.
  check.Above((field + ".epsilon").c_str(), adagrad->epsilon(), 0);
}

void CheckAdam(EmbeddingOptimizer::Adam* adam, FieldCheck& check) {
  if (!adam->has_lr()) adam->set_lr(0.001f);
  if (!adam->has_beta1()) adam->set_beta1(0.9f);
  if (!adam->has_beta2()) adam->set_beta2(0.999f);
  if (!adam->has_epsilon()) adam->set_epsilon(1e-8f);
  check.Above("optimizer.adam.lr", adam->lr(), 0);
  check.AtLeast("optimizer.adam.beta1", adam->beta1(), 0);
  check.Below("optimizer.adam.beta1", adam->beta1(), 1);
  check.AtLeast("optimizer.adam.beta2", adam->beta2(), 0);
  check.Below("optimizer.adam.beta2", adam->beta2(), 1);
  check.Above("optimizer.adam.epsilon", adam->epsilon(), 0);
}

void CheckMomentum(EmbeddingOptimizer::Momentum* momentum, FieldCheck& check) {
  if (!momentum->has_lr()) momentum->set_lr(0.01f);
  if (!momentum->has_momentum()) momentum->set_momentum(0.9f);
  check.Above("optimizer.momentum.lr", momentum->lr(), 0);
  check.AtLeast("optimizer.momentum.momentum", momentum->momentum(), 0);
  check.Below("optimizer.momentum.momentum", momentum->momentum(), 1);
}

void CheckRmsProp(EmbeddingOptimizer::RmsProp* rmsprop, FieldCheck& check) {
  if (!rmsprop->has_lr()) rmsprop->set_lr(0.01f);
  if (!rmsprop->has_decay()) rmsprop->set_decay(0.99f);
  if (!rmsprop->has_epsilon()) rmsprop->set_epsilon(1e-8f);
  check.Above("optimizer.rmsprop.lr", rmsprop->lr(), 0);
  check.AtLeast("optimizer.rmsprop.decay", rmsprop->decay(), 0);
  check.Below("optimizer.rmsprop.decay", rmsprop->decay(), 1);
  check.Above("optimizer.rmsprop.epsilon", rmsprop->epsilon(), 0);
}

void CheckFtrl(EmbeddingOptimizer::Ftrl* ftrl, FieldCheck& check) {
  if (!ftrl->has_lr()) ftrl->set_lr(0.01f);
  if (!ftrl->has_beta()) ftrl->set_beta(1.0f);
  if (!ftrl->has_l1()) ftrl->set_l1(0.0f);
  if (!ftrl->has_l2()) ftrl->set_l2(0.0f);
  check.Above("optimizer.ftrl.lr", ftrl->lr(), 0);
  // 0 / (0 + sqrt(0)) would be NaN at the first gradient of 0.
  check.Above("optimizer.ftrl.beta", ftrl->beta(), 0);
  check.AtLeast("optimizer.ftrl.l1", ftrl->l1(), 0);
  check.AtLeast("optimizer.ftrl.l2", ftrl->l2(), 0);
}

void CheckOptimizer(EmbeddingOptimizer& optimizer, FieldCheck& check) {
  switch (optimizer.kind_case()) {
    case EmbeddingOptimizer::kSgd:
      if (!optimizer.sgd().has_lr()) optimizer.mutable_sgd()->set_lr(0.01f);
      check.Above("optimizer.sgd.lr", optimizer.sgd().lr(), 0);
      break;
    case EmbeddingOptimizer::KIND_NOT_SET:
    case EmbeddingOptimizer::kAdagrad:
      CheckAdagrad(optimizer.mutable_adagrad(), "optimizer.adagrad", check);
      break;
    case EmbeddingOptimizer::kRowwiseAdagrad:
      CheckAdagrad(optimizer.mutable_rowwise_adagrad(), "optimizer.rowwise_adagrad", check);
      break;
    case EmbeddingOptimizer::kAdam:
      CheckAdam(optimizer.mutable_adam(), check);
      break;
    case EmbeddingOptimizer::kMomentum:
      CheckMomentum(optimizer.mutable_momentum(), check);
      break;
    case EmbeddingOptimizer::kRmsprop:
      CheckRmsProp(optimizer.mutable_rmsprop(), check);
      break;
    case EmbeddingOptimizer::kFtrl:
      CheckFtrl(optimizer.mutable_ftrl(), check);
      if (optimizer.l2() > 0) check.Fail("optimizer.l2: ftrl has its own; set optimizer.ftrl.l2");
      break;
  }
  if (!optimizer.has_l2()) optimizer.set_l2(0.0f);
  check.AtLeast("optimizer.l2", optimizer.l2(), 0);
}

}  // namespace

Result<TableSpec> MakeTableSpec(const Table& table, uint64_t run_seed) {
  if (table.name().empty()) {
    return Status(StatusCode::kInvalidConfig,
                  "tables.name: a table needs the name of the feature it belongs to");
  }
  const std::string prefix = "tables[" + table.name() + "].";
  if (!table.has_dim()) {
    return Status(StatusCode::kInvalidConfig,
                  prefix + "dim: not given; set it here or at the feature");
  }
  TableSpec spec;
  spec.name = table.name();
  spec.dim = table.dim();
  spec.seed = DeriveSeed(run_seed, "table/" + table.name());
  spec.initializer = table.initializer();
  spec.optimizer = table.optimizer();
  if (table.has_unseen()) spec.unseen = table.unseen();

  // Any other start is evidence of more than l1: a touch would keep it.
  const bool sparse = spec.optimizer.ftrl().l1() > 0;
  if (sparse && spec.initializer.kind_case() == Initializer::KIND_NOT_SET) {
    spec.initializer.mutable_constant();
  }

  FieldCheck check(prefix);
  check.AtLeast("dim", spec.dim, 1);
  check.AtMost("dim", spec.dim, kMaxDim);
  CheckInitializer(spec.initializer, check);
  CheckOptimizer(spec.optimizer, check);
  if (!check.status().ok()) return check.status();
  return spec;
}

std::string OptimizerName(const TableSpec& spec) {
  switch (spec.optimizer.kind_case()) {
    case EmbeddingOptimizer::kSgd:
      return "sgd";
    case EmbeddingOptimizer::kRowwiseAdagrad:
      return "rowwise_adagrad";
    case EmbeddingOptimizer::kAdam:
      return "adam";
    case EmbeddingOptimizer::kMomentum:
      return "momentum";
    case EmbeddingOptimizer::kRmsprop:
      return "rmsprop";
    case EmbeddingOptimizer::kFtrl:
      return "ftrl";
    case EmbeddingOptimizer::kAdagrad:
    case EmbeddingOptimizer::KIND_NOT_SET:
      return "adagrad";
  }
  return "state";
}

}  // namespace trestle
