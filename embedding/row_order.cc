#include "embedding/row_order.h"

namespace trestle::embedding {
namespace {

// A pass takes this many rows, or an eighth of the table if that is more: at 16 bytes each it
// holds at least 1 MiB and at most 2 bytes a row beyond that, and the index is read at most about
// ten times.
constexpr int64_t kMinRowsAtOnce = 1 << 16;
constexpr int64_t kMaxPasses = 8;
constexpr int64_t kRowsPerBucket = 64;

int64_t RowsAtOnce(int64_t rows) {
  return std::min(rows, std::max(kMinRowsAtOnce, (rows + kMaxPasses - 1) / kMaxPasses));
}
int64_t MostBuckets(int64_t rows) { return std::max<int64_t>(1, rows / kRowsPerBucket); }

}  // namespace

RowSorter::RowSorter(int64_t rows, uint32_t begin, uint32_t end)
    : begin_(begin), width_(end - begin), at_once_(RowsAtOnce(rows)) {
  const auto most = static_cast<uint64_t>(MostBuckets(rows));
  const auto buckets = [this] { return ((width_ - 1) >> shift_) + 1; };
  while (buckets() > most) ++shift_;
  ends_.resize(buckets());
}

int64_t RowSorter::Bytes(int64_t rows) {
  return RowsAtOnce(rows) * static_cast<int64_t>(sizeof(RowEntry)) +
         MostBuckets(rows) * static_cast<int64_t>(sizeof(uint64_t));
}

bool RowSorter::NextPass() {
  first_ = last_;
  uint64_t rows = 0;
  for (; last_ < ends_.size(); ++last_) {
    const uint64_t more = ends_[last_];
    if (rows > 0 && rows + more > static_cast<uint64_t>(at_once_)) break;
    ends_[last_] = rows;
    rows += more;
  }
  if (entries_.capacity() == 0) entries_.reserve(at_once_);
  entries_.resize(rows);
  return rows > 0;
}

std::span<const RowEntry> RowSorter::Sorted() {
  uint64_t begin = 0;
  for (size_t b = first_; b < last_; ++b) {
    // The partition is the mixed key's top bits, so one comparison orders by both.
    std::sort(entries_.begin() + begin, entries_.begin() + ends_[b],
              [](const RowEntry& x, const RowEntry& y) { return x.mixed < y.mixed; });
    begin = ends_[b];
  }
  return entries_;
}

}  // namespace trestle::embedding
