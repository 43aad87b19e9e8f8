// AUC in integers: exact by sorting, or from a histogram of logits.
//
// Twice the number of correctly ordered (positive, negative) pairs, a tie counting one, is an
// integer of 128 bits: no rounding, so neither order nor partition of the rows matters. (64 bits
// are full at 4 * 10^9 rows.)
//
// Thread safety: pure functions. No logit may be NaN.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trestle {

inline constexpr int kAucBins = 1 << 20;

// The bits of a float as an unsigned number in the floats' order; -0 and 0 are one.
uint32_t OrderedBits(float x);
inline int AucBin(float logit) { return static_cast<int>(OrderedBits(logit) >> 12); }

__extension__ typedef unsigned __int128 TwicePairs;

struct PairCount {
  int64_t positives = 0;
  int64_t negatives = 0;
  TwicePairs twice_ordered = 0;  // 2 per pair in order, 1 per tie
  // Rows of one score, above those that are counted.
  void Add(int64_t tied_negatives, int64_t tied_positives);
  bool both() const { return positives > 0 && negatives > 0; }
  // NaN without both labels.
  double Auc() const;
};

// Of keys OrderedBits(logit) << 1 | label, ascending.
PairCount CountPairs(std::span<const uint64_t> sorted);
// Of keys in any order; sorts them.
PairCount SortAndCountPairs(std::vector<uint64_t>* keys);

struct GroupAuc {
  double gauc = 0;   // NaN if no group has both labels
  int64_t rows = 0;  // of groups with both
};
// Mean of the groups' AUCs weighted by their rows; groups in the order of their keys.
GroupAuc ComputeGroupAuc(std::span<const uint64_t> keys, std::span<const uint64_t> groups);

// From [2, kAucBins] counts: negatives, then positives. `error` bounds the distance to the exact
// AUC.
double HistogramAuc(std::span<const int64_t> histogram, double* error);

}  // namespace trestle
