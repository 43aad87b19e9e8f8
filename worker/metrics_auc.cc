#include "worker/metrics_auc.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

namespace trestle {
namespace {

constexpr int kDigitBits = 11;  // three digits cover the 33 bits of a key
constexpr size_t kDigits = size_t{1} << kDigitBits;
constexpr size_t kFewKeys = 4096;  // fewer are sorted by comparison

void RadixSort(std::vector<uint64_t>* keys) {
  std::vector<uint64_t> other(keys->size());
  for (int shift = 0; shift < 33; shift += kDigitBits) {
    std::array<size_t, kDigits + 1> starts = {};
    for (const uint64_t key : *keys) ++starts[((key >> shift) & (kDigits - 1)) + 1];
    for (size_t d = 0; d < kDigits; ++d) starts[d + 1] += starts[d];
    for (const uint64_t key : *keys) other[starts[(key >> shift) & (kDigits - 1)]++] = key;
    keys->swap(other);
  }
}

}  // namespace

uint32_t OrderedBits(float x) {
  const auto bits = std::bit_cast<uint32_t>(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

double PairCount::Auc() const {
  if (!both()) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(twice_ordered) /
         (2.0 * static_cast<double>(positives) * static_cast<double>(negatives));
}

void PairCount::Add(int64_t tied_negatives, int64_t tied_positives) {
  twice_ordered += static_cast<TwicePairs>(tied_positives) *
                   static_cast<TwicePairs>(2 * negatives + tied_negatives);
  negatives += tied_negatives;
  positives += tied_positives;
}

PairCount CountPairs(std::span<const uint64_t> sorted) {
  PairCount count;
  for (size_t begin = 0; begin < sorted.size();) {
    int64_t tied[2] = {0, 0};
    const uint64_t score = sorted[begin] >> 1;
    size_t end = begin;
    for (; end < sorted.size() && sorted[end] >> 1 == score; ++end) ++tied[sorted[end] & 1];
    count.Add(tied[0], tied[1]);
    begin = end;
  }
  return count;
}

PairCount SortAndCountPairs(std::vector<uint64_t>* keys) {
  if (keys->size() < kFewKeys) {
    std::sort(keys->begin(), keys->end());
  } else {
    RadixSort(keys);
  }
  return CountPairs(*keys);
}

GroupAuc ComputeGroupAuc(std::span<const uint64_t> keys, std::span<const uint64_t> groups) {
  std::vector<std::pair<uint64_t, uint64_t>> rows(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) rows[i] = {groups[i], keys[i]};
  std::sort(rows.begin(), rows.end());
  std::vector<uint64_t> of_group;
  GroupAuc result;
  double sum = 0;
  for (size_t begin = 0; begin < rows.size();) {
    of_group.clear();
    const uint64_t group = rows[begin].first;
    size_t end = begin;
    for (; end < rows.size() && rows[end].first == group; ++end) {
      of_group.push_back(rows[end].second);
    }
    begin = end;
    const PairCount count = CountPairs(of_group);
    if (!count.both()) continue;
    sum += count.Auc() * static_cast<double>(of_group.size());
    result.rows += static_cast<int64_t>(of_group.size());
  }
  result.gauc = result.rows > 0 ? sum / static_cast<double>(result.rows)
                                : std::numeric_limits<double>::quiet_NaN();
  return result;
}

double HistogramAuc(std::span<const int64_t> histogram, double* error) {
  PairCount count;
  double tied_pairs = 0;
  for (size_t bin = 0; bin < kAucBins; ++bin) {
    const int64_t negatives = histogram[bin], positives = histogram[kAucBins + bin];
    count.Add(negatives, positives);
    tied_pairs += static_cast<double>(positives) * static_cast<double>(negatives);
  }
  *error = count.both() ? 0.5 * tied_pairs / static_cast<double>(count.positives) /
                              static_cast<double>(count.negatives)
                        : 0;
  return count.Auc();
}

}  // namespace trestle
