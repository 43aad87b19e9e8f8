#include "ps/step.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "ps/parallel.h"

namespace trestle {
namespace {

constexpr size_t kPrefetch =
    16;  // rows ahead; a row of a large step comes from the third-level cache

}  // namespace

Status LayOutRows(const Topology& topology, Step* step) {
  const size_t servers = topology.servers.size();
  std::vector<uint32_t> counts(topology.tables());
  step->layouts.resize(servers);
  step->section_begin.assign(1, 0);
  for (size_t s = 0; s < servers; ++s) {
    for (size_t t = 0; t < counts.size(); ++t) {
      counts[t] = step->worker[t].shard_begin[s + 1] - step->worker[t].shard_begin[s];
    }
    step->layouts[s].Reset(topology.dims, counts, !step->training());
    step->section_begin.push_back(step->section_begin.back() + PadTo(step->layouts[s].bytes(), 64));
  }
  const size_t bytes = step->section_begin.back();
  if (bytes / sizeof(float) > std::numeric_limits<uint32_t>::max()) {
    return {
        StatusCode::kInvalidConfig,
        "a step's embedding rows are " + std::to_string(bytes) +
            " bytes on one worker, 16 GiB are allowed; use a smaller batch.rows or more workers"};
  }
  step->rows.Reset(bytes);

  step->row_of.resize(topology.tables());
  std::vector<uint32_t> row_of_key;
  for (size_t t = 0; t < topology.tables(); ++t) {
    const WorkerTable& table = step->worker[t];
    const uint32_t dim = static_cast<uint32_t>(topology.dims[t]);
    row_of_key.resize(table.unique());
    for (size_t s = 0; s < servers; ++s) {
      uint32_t row = static_cast<uint32_t>((step->section_begin[s] + step->layouts[s].rows(t)) /
                                           sizeof(float));
      for (uint32_t k = table.shard_begin[s]; k < table.shard_begin[s + 1]; ++k, row += dim) {
        row_of_key[k] = row;
      }
    }
    const std::span<uint32_t> row_of = step->row_of[t].Reset(table.positions());
    for (size_t p = 0; p < row_of.size(); ++p) row_of[p] = row_of_key[table.key_of[p]];
  }
  return {};
}

namespace {

// The sums of one lane and table start at zero with the first gradient: in the lane's thread, where
// they then are in cache.
void StartSums(const Topology& topology, size_t lane, size_t table, Step* step) {
  uint8_t& started = step->sums_started[lane * topology.tables() + table];
  if (started) return;
  started = 1;
  const size_t dim = static_cast<size_t>(topology.dims[table]);
  const std::vector<uint32_t>& begin = step->worker[table].lane_begin;
  std::fill_n(step->sums[table].data() + begin[lane] * dim, (begin[lane + 1] - begin[lane]) * dim,
              0.0f);
}

}  // namespace

void FinishSums(const Topology& topology, Step* step) {
  for (size_t lane = 0; lane < step->lanes.size(); ++lane) {
    for (size_t t = 0; t < topology.tables(); ++t) StartSums(topology, lane, t, step);
  }
}

std::unique_ptr<Step> StepPool::Acquire() {
  std::lock_guard lock(mutex_);
  if (free_.empty()) return std::make_unique<Step>();
  std::unique_ptr<Step> step = std::move(free_.back());
  free_.pop_back();
  return step;
}

void StepPool::Release(std::unique_ptr<Step> step) {
  std::lock_guard lock(mutex_);
  free_.push_back(std::move(step));
}

std::span<const int32_t> StepLookup::offsets(int lane, int slot) const {
  return step_->lanes[static_cast<size_t>(lane)][static_cast<size_t>(slot)].offsets;
}

std::span<const uint32_t> StepLookup::Positions(int lane, int slot) const {
  const size_t table = static_cast<size_t>(topology_->slot_tables[static_cast<size_t>(slot)]);
  const size_t slots = topology_->table_slots[table].size();
  const size_t at = static_cast<size_t>(lane) * slots +
                    static_cast<size_t>(topology_->slot_position[static_cast<size_t>(slot)]);
  const WorkerTable& keys = step_->worker[table];
  const size_t begin = keys.occurrence_begin[at];
  return keys.occurrences.span().subspan(begin, keys.occurrence_begin[at + 1] - begin);
}

void StepLookup::Gather(int lane, int slot, float* out) const {
  const size_t table = static_cast<size_t>(topology_->slot_tables[static_cast<size_t>(slot)]);
  const std::span<const uint32_t> positions = Positions(lane, slot);
  const uint32_t* const row_of = step_->row_of[table].data();
  const float* const rows = reinterpret_cast<const float*>(step_->rows.data());
  WithDim(topology_->dims[table], [&](auto dim) {
    const size_t row_bytes = sizeof(float) * static_cast<size_t>(int{dim});
    for (size_t i = 0; i < positions.size(); ++i) {
      if (i + kPrefetch < positions.size()) {
        __builtin_prefetch(rows + row_of[positions[i + kPrefetch]]);
      }
      std::memcpy(out + i * static_cast<size_t>(int{dim}), rows + row_of[positions[i]], row_bytes);
    }
  });
}

void StepLookup::Accumulate(int lane, int slot, const float* gradient) {
  const size_t table = static_cast<size_t>(topology_->slot_tables[static_cast<size_t>(slot)]);
  StartSums(*topology_, static_cast<size_t>(lane), table, step_.get());
  const std::span<const uint32_t> positions = Positions(lane, slot);
  float* const sums = step_->sums[table].data();
  WithDim(topology_->dims[table], [&](auto dim) {
    const size_t width = static_cast<size_t>(int{dim});
    for (size_t i = 0; i < positions.size(); ++i) {
      float* const sum = sums + positions[i] * width;
      const float* const g = gradient + i * width;
#pragma omp simd
      for (int d = 0; d < dim; ++d) sum[d] += g[d];
    }
  });
}

}  // namespace trestle
