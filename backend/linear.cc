#include "backend/linear.h"

#include <glog/logging.h>

#include <algorithm>

#include "backend/gemm.h"
#include "backend/vector_math.h"

namespace trestle {

template <class T>
VarT<T> Linear(TapeT<T>& tape, VarT<T> x, VarT<T> weight, VarT<T> bias) {
  CHECK_EQ(x->cols, weight->rows);
  const int64_t m = x->rows, k = x->cols, n = weight->cols;
  if (bias) CHECK(bias->rows == 1 && bias->cols == n);
  VarT<T> z = tape.New(m, n, x->needs_grad || weight->needs_grad || (bias && bias->needs_grad));
  if (bias) {
    Vectors<T>().fill_rows(m, n, bias->value, z->value);
  }
  Gemm<T>(false, false, m, n, k, x->value, weight->value, z->value, bias ? T{1} : T{0});
  tape.Record(z, [&tape, x, weight, bias, z, m, n, k] {
    if (x->needs_grad) {
      const GradientSink<T> dx = tape.Sink(x);
      Gemm<T>(false, true, m, k, n, z->grad, weight->value, dx.data, dx.add);
    }
    if (weight->needs_grad) {
      const GradientSink<T> dw = tape.Sink(weight);
      Gemm<T>(true, false, k, n, m, x->value, z->grad, dw.data, dw.add);
    }
    if (bias && bias->needs_grad) {
      const GradientSink<T> db = tape.Sink(bias);
      if (!db.add) std::fill_n(db.data, n, T{0});
      Vectors<T>().add_rows(m, n, z->grad, db.data);
    }
  });
  return z;
}

template Var Linear(Tape&, Var, Var, Var);
template VarT<double> Linear(TapeT<double>&, VarT<double>, VarT<double>, VarT<double>);

}  // namespace trestle
