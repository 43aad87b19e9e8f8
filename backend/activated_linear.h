// Linear of an activation as one operator: f(z) W + b. Its textbook form is Linear(Sigmoid(z), W,
// b) and so on. A lane's items are walked in tiles of 64 rows that stay in the first caches: f(z)
// of a tile is made, multiplied and forgotten (or kept where making it again would cost an exp),
// and in the backward pass the tile's gradient goes from the output to z without a stop in memory.
// For DIN's attention that is half of the memory traffic.
//
// Errors: CHECKs shapes. Thread safety: as the tape's.
#pragma once

#include "backend/ops.h"
#include "backend/tape.h"

namespace trestle {

template <class T>
struct RowActivation {
  enum class Kind { kSigmoid, kTanh, kRelu, kPRelu, kDice } kind = Kind::kSigmoid;
  VarT<T> parameter = nullptr;                     // [1,k] PRelu: slope; Dice: alpha
  NormStatistics statistics = {nullptr, nullptr};  // Dice
};

// z [m,k], weight [k,n], bias [1,n] -> [m,n].
template <class T>
VarT<T> ActivatedLinear(TapeT<T>& tape, VarT<T> z, const RowActivation<T>& activation,
                        VarT<T> weight, VarT<T> bias);

}  // namespace trestle
