// DIN's local activation unit in folded form, on ragged rows. The first layer of the unit reads
// [t; h; t-h; t*h] (4 Dh inputs) only on paper: with W1 cut into blocks Wt, Wh, Wd, Wp,
//   z_j = h_j M_b + c_b,  M_b = (Wh - Wd) + diag(t_b) Wp  [Dh, A],  c_b = t_b (Wt + Wd) + bias  [A]
// is one small matrix and one vector a sample. The four blocks stay the parameters.
// Source: DIN paper (Zhou et al., KDD 2018), section 4.3; docs/models.md has the derivation.
#pragma once

#include "backend/tape.h"

namespace trestle {

// First layer of the activation unit. target [b,d], history [total,d], weight [4d,a] in the order
// [t; h; t-h; t*h], bias [1,a] -> [total,a]. Equals
// Linear(Concat(t', h, t'-h, t'*h), weight, bias) with t' = BroadcastToItems(target).
template <class T>
VarT<T> AttentionInput(TapeT<T>& tape, VarT<T> target, VarT<T> history, Offsets offsets, VarT<T> weight,
                       VarT<T> bias);

// sum_j w_j h_j for each row: history [total,d], weights [total,1] -> [b,d]. Rows without items are 0.
template <class T>
VarT<T> JaggedWeightedSum(TapeT<T>& tape, VarT<T> history, VarT<T> weights, Offsets offsets);

}  // namespace trestle
