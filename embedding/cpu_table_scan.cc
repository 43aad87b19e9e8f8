// The parts of CpuTable that read all rows: ordered scan and digest.
#include <atomic>
#include <new>

#include "base/hash.h"
#include "embedding/cpu_table.h"
#include "embedding/row_order.h"

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

RowView CpuTable::View(uint64_t mixed, const RowPlace& place) const {
  return {.key = Key{Unmix64(mixed)},
          .weights = {place.floats, static_cast<size_t>(dim_)},
          .state = {place.floats + dim_, static_cast<size_t>(state_width_)},
          .occurrences = place.counters->occurrences,
          .samples = place.counters->samples,
          .last_step = place.counters->last_step};
}

Status CpuTable::ForEachRow(uint32_t begin_partition, uint32_t end_partition,
                            const std::function<Status(const RowView&)>& visit) const try {
  const auto scan = [this](const auto& see) {
    for (uint32_t s = 0; s < Segment::kSegments; ++s) {
      segments_[s].ForEach([&](uint64_t mixed, uint32_t row) { see(RowEntry{mixed, s, row}); });
    }
  };
  return VisitInOrder(
      rows(), begin_partition, end_partition, scan, [&](std::span<const RowEntry> entries) {
        for (const RowEntry& entry : entries) {
          TRESTLE_RETURN_IF_ERROR(visit(View(entry.mixed, segments_[entry.segment].At(entry.row))));
        }
        return Ok();
      });
} catch (const std::bad_alloc&) {
  return OutOfMemory().Wrap("sorting keys");
}

uint64_t CpuTable::Digest() const {
  std::atomic<uint64_t> digest{0};
  pool_->ParallelFor(Segment::kSegments, [&](int64_t s, int) {
    uint64_t sum = 0;
    segments_[s].ForEach(
        [&](uint64_t mixed, uint32_t row) { sum += HashRow(View(mixed, segments_[s].At(row))); });
    digest += sum;
  });
  return digest;
}

}  // namespace embedding
}  // namespace trestle
