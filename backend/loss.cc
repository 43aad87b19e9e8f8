#include "backend/loss.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/config_check.h"
#include "backend/ops_internal.h"

namespace trestle {
namespace {

constexpr float kDefaultAlpha = 0.8f;
constexpr float kDefaultGamma = 0.6f;
constexpr float kDefaultShare = 0.5f;

// Focal and Mixed have these settings in common.
template <class Message>
void TakeFocal(const Message& settings, const std::string& field, ConfigCheck* check,
               LossRule* rule) {
  rule->alpha = settings.has_alpha() ? settings.alpha() : kDefaultAlpha;
  rule->gamma = settings.has_gamma() ? settings.gamma() : kDefaultGamma;
  check->Require(rule->alpha >= 0 && rule->alpha <= 1, field + ".alpha", rule->alpha, "in [0, 1]");
  check->Require(rule->gamma >= 0 && std::isfinite(rule->gamma), field + ".gamma", rule->gamma,
                 "0 or more and finite");
}

struct Term {
  double loss = 0;
  double slope = 0;  // to the logit
};

// The slope is computed in T, as the operators before it are.
template <class T>
Term LogTerm(T logit, double label) {
  const double z = static_cast<double>(logit);
  const T p = T{1} / (T{1} + std::exp(-logit));
  return {std::max(z, 0.0) - z * label + std::log1p(std::exp(-std::abs(z))),
          static_cast<double>(p - static_cast<T>(label))};
}

// NaN where the logit is none, which is a bad step: some of its parts would come out as 0.
Term FocalTerm(const LossRule& rule, double z, bool click) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(z)) return {kNaN, kNaN};
  const double u = click ? z : -z;
  const double tail = std::exp(-std::abs(u));
  const double larger = 1.0 / (1.0 + tail), smaller = tail / (1.0 + tail);
  const double p = u >= 0 ? larger : smaller;
  const double rest = u >= 0 ? smaller : larger;
  const double log_p = std::min(u, 0.0) - std::log1p(tail);
  const double scale = (click ? rule.alpha : 1.0 - rule.alpha) * std::pow(rest, rule.gamma);
  const double slope = scale * (rule.gamma * p * log_p - rest);
  return {-scale * log_p, click ? slope : -slope};
}

// (1 - share) a + share b.
Term Between(const Term& a, const Term& b, double share) {
  return {(1.0 - share) * a.loss + share * b.loss, (1.0 - share) * a.slope + share * b.slope};
}

Term SmoothedFocalTerm(const LossRule& rule, double z, bool click) {
  const Term term = FocalTerm(rule, z, click);
  return rule.smoothing > 0 ? Between(term, FocalTerm(rule, z, !click), rule.smoothing / 2) : term;
}

template <class T>
Term RowTerm(const LossRule& rule, T logit, float label) {
  const double smooth = (1.0 - rule.smoothing) * label + rule.smoothing / 2;
  if (rule.focal_share == 0) return LogTerm(logit, smooth);
  const Term focal = SmoothedFocalTerm(rule, static_cast<double>(logit), label > 0.5f);
  return rule.focal_share == 1 ? focal : Between(LogTerm(logit, smooth), focal, rule.focal_share);
}

}  // namespace

Result<LossRule> MakeLossRule(const Loss& settings) {
  ConfigCheck check;
  LossRule rule;
  switch (settings.kind_case()) {
    case Loss::kLog:
    case Loss::KIND_NOT_SET:
      break;
    case Loss::kFocal:
      rule.focal_share = 1;
      TakeFocal(settings.focal(), "loss.focal", &check, &rule);
      break;
    case Loss::kMixed: {
      const float share = settings.mixed().has_share() ? settings.mixed().share() : kDefaultShare;
      check.Require(share >= 0 && share <= 1, "loss.mixed.share", share, "in [0, 1]");
      rule.focal_share = share;
      TakeFocal(settings.mixed(), "loss.mixed", &check, &rule);
      break;
    }
  }
  rule.smoothing = settings.label_smoothing();
  check.Require(rule.smoothing >= 0 && rule.smoothing < 1, "loss.label_smoothing", rule.smoothing,
                "in [0, 1)");
  TRESTLE_RETURN_IF_ERROR(check.ToStatus());
  return rule;
}

template <class T>
VarT<T> LossSum(TapeT<T>& tape, VarT<T> logits, const float* labels, const float* weights,
                const LossRule& rule) {
  CHECK_EQ(logits->cols, 1);
  const int64_t rows = logits->rows;
  VarT<T> loss = tape.New(1, 1, logits->needs_grad);
  T* slopes = tape.arena().template Allocate<T>(rows);
  double sum = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const Term term = RowTerm(rule, logits->value[i], labels[i]);
    const double weight = weights ? weights[i] : 1.0;
    sum += weight * term.loss;
    slopes[i] = static_cast<T>(weight * term.slope);
  }
  loss->value[0] = static_cast<T>(sum);
  tape.Record(loss, [&tape, logits, slopes, loss, rows] {
    const T scale = loss->grad[0];
    Put(tape.Sink(logits), rows, [=](int64_t i) { return scale * slopes[i]; });
  });
  return loss;
}

#define INSTANTIATE(T) \
  template VarT<T> LossSum(TapeT<T>&, VarT<T>, const float*, const float*, const LossRule&);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace trestle
