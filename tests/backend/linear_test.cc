#include "backend/linear.h"

#include <gtest/gtest.h>

#include "backend/ops.h"
#include "tests/backend/tape_fixture.h"

namespace trestle {
namespace {

template <class T>
VarT<T> Coarse(TapeT<T>& tape, const std::vector<VarT<T>>& x) {
  return Linear<T>(tape, x[0], x[1], x.size() > 2 ? x[2] : nullptr);
}
template <class T>
VarT<T> Textbook(TapeT<T>& tape, const std::vector<VarT<T>>& x) {
  VarT<T> product = MatMul<T>(tape, x[0], x[1]);
  return x.size() > 2 ? Add<T>(tape, product, x[2]) : product;
}

TEST(Linear, GradientsMatchFiniteDifferences) {
  for (bool with_bias : {true, false}) {
    for (int64_t rows : {0, 1, 7}) {
      for (int64_t outputs : {1, 5}) {
        TapeFixture<double> fixture(2);
        fixture.Add(rows, 6);
        fixture.Add(6, outputs);
        if (with_bias) fixture.Add(1, outputs);
        ExpectGradientsMatch(fixture, Coarse<double>);
      }
    }
  }
}

TEST(Linear, EqualsItsTextbookFormInFloat) {
  for (int64_t rows : {0, 1, 31, 256, 1000}) {
    for (auto [in, out] : {std::pair<int64_t, int64_t>{273, 200}, {80, 40}, {40, 1}, {3, 17}}) {
      TapeFixture<float> fixture(3);
      fixture.Add(rows, in);
      fixture.Add(in, out, 0.1);
      fixture.Add(1, out);
      ExpectSameFunction<float>(fixture, Coarse<float>, Textbook<float>, 1e-4);
    }
  }
}

}  // namespace
}  // namespace trestle
