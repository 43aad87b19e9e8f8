// The parts of CpuTable that read all rows: ordered scan and digest.
#include <algorithm>
#include <atomic>
#include <new>

#include "base/hash.h"
#include "base/partition.h"
#include "embedding/cpu_table.h"

namespace trestle {

// Floats count by their bits.
uint64_t HashRow(const RowView& row) {
  const uint64_t parts[] = {row.key.value,
                            Hash64(std::as_bytes(row.weights)),
                            Hash64(std::as_bytes(row.state)),
                            row.occurrences,
                            row.samples,
                            static_cast<uint64_t>(row.last_step)};
  return Hash64(std::as_bytes(std::span(parts)));
}

namespace embedding {
namespace {

// ForEachRow sorts this many rows at a time, or an eighth of the table if that is more: 16 bytes
// each, and the index is scanned at most about eight times.
constexpr int64_t kMinSortedRows = 1 << 20;
constexpr int64_t kMaxPasses = 8;

}  // namespace

RowView CpuTable::View(const Entry& entry) const {
  const RowPlace place = segments_[entry.segment].At(entry.row);
  return {.key = Key{Unmix64(entry.mixed)},
          .weights = {place.floats, static_cast<size_t>(dim_)},
          .state = {place.floats + dim_, static_cast<size_t>(state_width_)},
          .occurrences = place.counters->occurrences,
          .samples = place.counters->samples,
          .last_step = place.counters->last_step};
}

void CpuTable::CollectEntries(uint32_t begin_partition, uint32_t end_partition,
                              std::vector<Entry>* entries) const {
  entries->clear();
  for (uint32_t s = 0; s < Segment::kSegments; ++s) {
    segments_[s].ForEach([&](uint64_t mixed, uint32_t row) {
      const uint64_t partition = mixed >> 48;
      if (partition >= begin_partition && partition < end_partition) {
        entries->push_back({mixed, s, row});
      }
    });
  }
  // The partition is the mixed key's top bits, so one comparison orders by both.
  std::sort(entries->begin(), entries->end(),
            [](const Entry& a, const Entry& b) { return a.mixed < b.mixed; });
}

Status CpuTable::ForEachRow(uint32_t begin_partition, uint32_t end_partition,
                            const std::function<Status(const RowView&)>& visit) const try {
  if (begin_partition >= end_partition) return Ok();
  const int64_t at_once = std::max(kMinSortedRows, rows() / kMaxPasses);
  const uint32_t passes = static_cast<uint32_t>(std::min(rows() / at_once + 1, kMaxPasses));
  const uint64_t width = end_partition - begin_partition;
  std::vector<Entry> entries;
  for (uint32_t p = 0; p < passes; ++p) {
    CollectEntries(begin_partition + static_cast<uint32_t>(width * p / passes),
                   begin_partition + static_cast<uint32_t>(width * (p + 1) / passes), &entries);
    for (const Entry& entry : entries) TRESTLE_RETURN_IF_ERROR(visit(View(entry)));
  }
  return Ok();
} catch (const std::bad_alloc&) {
  return OutOfMemory().Wrap("sorting keys");
}

Result<std::unique_ptr<TableSnapshot>> CpuTable::Snapshot(std::shared_ptr<SnapshotMemory>) {
  return Status(StatusCode::kUnsupported, "no snapshots yet");
}

uint64_t CpuTable::Digest() const {
  std::atomic<uint64_t> digest{0};
  pool_->ParallelFor(Segment::kSegments, [&](int64_t s, int) {
    uint64_t sum = 0;
    segments_[s].ForEach([&](uint64_t mixed, uint32_t row) {
      sum += HashRow(View({mixed, static_cast<uint32_t>(s), row}));
    });
    digest += sum;
  });
  return digest;
}

}  // namespace embedding
}  // namespace trestle
