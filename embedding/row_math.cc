#include "embedding/row_math.h"

#include <glog/logging.h>

namespace trestle::embedding {

RowInitializer MakeRowInitializer(const TableSpec& spec) {
  const Initializer& init = spec.initializer;
  switch (init.kind_case()) {
    case Initializer::kConstant:
      return ConstantInit{init.constant().value()};
    case Initializer::kUniform:
      return UniformInit{init.uniform().low(), init.uniform().high()};
    case Initializer::kNormal:
      return NormalInit{init.normal().mean(), init.normal().std()};
    case Initializer::kTruncatedNormal:
      return TruncatedNormalInit{init.truncated_normal().mean(), init.truncated_normal().std()};
    case Initializer::kXavier: {
      const double fan = static_cast<double>(init.xavier().rows()) + spec.dim;
      const float bound = static_cast<float>(std::sqrt(6.0 / fan));
      return UniformInit{-bound, bound};
    }
    case Initializer::KIND_NOT_SET:
      break;
  }
  LOG(FATAL) << "table " << spec.name << ": spec without initializer; use MakeTableSpec";
  __builtin_unreachable();
}

RowOptimizer MakeRowOptimizer(const TableSpec& spec) {
  const EmbeddingOptimizer& optimizer = spec.optimizer;
  const float l2 = optimizer.l2();
  switch (optimizer.kind_case()) {
    case EmbeddingOptimizer::kSgd:
      return SgdRow{optimizer.sgd().lr(), l2};
    case EmbeddingOptimizer::kMomentum:
      return MomentumRow{optimizer.momentum().lr(), optimizer.momentum().momentum(), l2};
    case EmbeddingOptimizer::kAdagrad: {
      const auto& a = optimizer.adagrad();
      return AdagradRow{a.lr(), a.initial_accumulator(), a.epsilon(), l2};
    }
    case EmbeddingOptimizer::kRowwiseAdagrad: {
      const auto& a = optimizer.rowwise_adagrad();
      return RowwiseAdagradRow{a.lr(), a.initial_accumulator(), a.epsilon(), l2};
    }
    case EmbeddingOptimizer::kAdam: {
      const auto& a = optimizer.adam();
      return AdamRow{a.lr(), a.beta1(), a.beta2(), a.epsilon(), l2};
    }
    case EmbeddingOptimizer::kRmsprop: {
      const auto& r = optimizer.rmsprop();
      return RmsPropRow{r.lr(), r.decay(), r.epsilon(), l2};
    }
    case EmbeddingOptimizer::kFtrl: {
      const auto& f = optimizer.ftrl();
      return FtrlRow{f.lr(), f.beta(), f.l1(), f.l2()};
    }
    case EmbeddingOptimizer::KIND_NOT_SET:
      break;
  }
  LOG(FATAL) << "table " << spec.name << ": spec without optimizer; use MakeTableSpec";
  __builtin_unreachable();
}

}  // namespace trestle::embedding
