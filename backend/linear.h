// Linear: x W + b as one operator, on oneDNN for float. Its textbook form is Add(MatMul(x, W), b).
#pragma once

#include "backend/tape.h"

namespace trestle {

// x [m,k], weight [k,n], bias [1,n] or null -> [m,n].
template <class T> VarT<T> Linear(TapeT<T>& tape, VarT<T> x, VarT<T> weight, VarT<T> bias);

}  // namespace trestle
