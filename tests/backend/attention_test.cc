#include "backend/attention.h"

#include <gtest/gtest.h>

#include "backend/linear.h"
#include "backend/ops.h"
#include "tests/backend/tape_fixture.h"

namespace trestle {
namespace {

// Leaves: target, history, weight, bias.
template <class T>
TapeFixture<T> UnitFixture(Offsets offsets, int64_t d, int64_t a) {
  TapeFixture<T> fixture(6);
  fixture.Add(static_cast<int64_t>(offsets.size()) - 1, d);
  fixture.Add(offsets.back(), d);
  fixture.Add(4 * d, a, 0.3);
  fixture.Add(1, a);
  return fixture;
}

template <class T>
typename TapeFixture<T>::Build Folded(Offsets offsets) {
  return [offsets](TapeT<T>& tape, const std::vector<VarT<T>>& x) {
    return AttentionInput<T>(tape, x[0], x[1], offsets, x[2], x[3]);
  };
}

template <class T>
typename TapeFixture<T>::Build Textbook(Offsets offsets) {
  return [offsets](TapeT<T>& tape, const std::vector<VarT<T>>& x) {
    VarT<T> t = BroadcastToItems<T>(tape, x[0], offsets);
    const std::vector<VarT<T>> parts{t, x[1], Subtract<T>(tape, t, x[1]),
                                     Multiply<T>(tape, t, x[1])};
    VarT<T> all = ConcatColumns<T>(tape, parts);
    return Add<T>(tape, MatMul<T>(tape, all, x[2]), x[3]);
  };
}

const std::vector<std::vector<int>>& Histories() {
  static const std::vector<std::vector<int>> histories{
      {3, 0, 1, 5}, {0, 0, 0}, {}, {1}, {0, 2, 0}, {70, 3, 129, 0, 50, 64, 65}};
  return histories;
}

TEST(AttentionInput, GradientsMatchFiniteDifferences) {
  for (size_t i = 0; i + 1 < Histories().size(); ++i) {
    const std::vector<int32_t> offsets = OffsetsOf(Histories()[i]);
    auto fixture = UnitFixture<double>(offsets, 3, 5);
    ExpectGradientsMatch(fixture, Folded<double>(offsets));
  }
}

TEST(AttentionInput, EqualsItsTextbookForm) {
  for (const std::vector<int>& lengths : Histories()) {
    const std::vector<int32_t> offsets = OffsetsOf(lengths);
    for (auto [d, a] : {std::pair<int64_t, int64_t>{32, 80}, {5, 7}, {1, 1}, {36, 36}}) {
      auto exact = UnitFixture<double>(offsets, d, a);
      ExpectSameFunction<double>(exact, Folded<double>(offsets), Textbook<double>(offsets), 1e-11);
      auto rounded = UnitFixture<float>(offsets, d, a);
      ExpectSameFunction<float>(rounded, Folded<float>(offsets), Textbook<float>(offsets), 1e-3);
    }
  }
}

TEST(JaggedWeightedSum, GradientsMatchFiniteDifferencesAndTextbook) {
  for (const std::vector<int>& lengths : Histories()) {
    const std::vector<int32_t> offsets = OffsetsOf(lengths);
    TapeFixture<double> fixture(8);
    fixture.Add(offsets.back(), 3);
    fixture.Add(offsets.back(), 1);
    const DoubleBuild coarse = [&](TapeT<double>& tape, const std::vector<VarT<double>>& x) {
      return JaggedWeightedSum<double>(tape, x[0], x[1], offsets);
    };
    const DoubleBuild textbook = [&](TapeT<double>& tape, const std::vector<VarT<double>>& x) {
      return JaggedSum<double>(tape, Multiply<double>(tape, x[0], x[1]), offsets);
    };
    ExpectSameFunction<double>(fixture, coarse, textbook, 1e-12);
    if (offsets.back() < 20) ExpectGradientsMatch(fixture, coarse);
  }
}

}  // namespace
}  // namespace trestle
