// The training loss of a row's logit z and label y, and its slope dl/dz, both from z as it is, so
// that they stay finite where sigmoid(z) is 0 or 1:
//
//   log     max(z,0) - z y + log1p(exp(-|z|));  slope sigmoid(z) - y
//   focal   with u = z for a click and -z else, p = sigmoid(u), a = alpha or 1 - alpha:
//           -a (1-p)^gamma log p;  slope to u  a (1-p)^gamma (gamma p log p - (1-p))
//   mixed   (1-share) log + share focal
//
// Smoothing takes 1 - s/2 of the loss for the label and s/2 of that for the other one; for the log
// loss that is the loss at (1-s) y + s/2.
//
// Fixed-point range: the slope of the focal loss is at most a (1 + gamma/e), of the log loss 1;
// with weights they are times those, and a sum beyond the range makes its step a bad one.
//
// Thread safety: pure functions. Device: host. Errors: kInvalidConfig names the field.
// Source: MODELS, section 1.7 (docs/models.md); Lin et al., Focal Loss, ICCV 2017.
#pragma once

#include "backend/loss.pb.h"
#include "backend/tape.h"
#include "base/status.h"

namespace trestle {

struct LossRule {
  double focal_share = 0;  // 0: the log loss, 1: the focal loss
  double alpha = 0;
  double gamma = 0;
  double smoothing = 0;
};

// Settings with loss.proto's defaults.
Result<LossRule> MakeLossRule(const Loss& settings);

// Sum over rows of weight * loss: logits [m,1], labels [m] of 0 and 1, weights [m] or null: [1,1].
template <class T>
VarT<T> LossSum(TapeT<T>& tape, VarT<T> logits, const float* labels, const float* weights,
                const LossRule& rule);

}  // namespace trestle
