#include "embedding/cpu_table.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>

#include "base/hash.h"
#include "base/partition.h"
#include "embedding/cpu_table_snapshot.h"

namespace trestle::embedding {
namespace {

// Below this many elements sorting them and waking threads costs more than it gains.
constexpr size_t kMinParallel = 4096;

constexpr size_t kPullStages = 4;  // ask for index lines, read them, settle the rest, copy rows
constexpr int kLineFloats = 16;
constexpr size_t kInsertAhead = 16;
constexpr int kInsertBeyond = 4;  // rows of a segment

// Always inlined: g++ 12 drops calls of a function that only prefetches, as if it did nothing.
[[gnu::always_inline]] inline void PrefetchRow(const float* row, int floats) {
  for (int d = 0; d < floats; d += kLineFloats) __builtin_prefetch(row + d);
}
[[gnu::always_inline]] inline void PrefetchRowToWrite(float* row, int floats) {
  for (int d = 0; d < floats; d += kLineFloats) __builtin_prefetch(row + d, 1);
}

// The new row's number, or kAbsent if there is no memory.
uint32_t TryCreate(Segment* segment, uint64_t mixed) try {
  return segment->Create(mixed);
} catch (const std::bad_alloc&) {
  return KeyIndex::kAbsent;
}

struct InOrder {
  size_t operator()(size_t i) const { return i; }
};

// Calls f with the width of a row as a constant where it is a common one, so that its loops unroll.
template <class F>
auto WithDim(int dim, const F& f) {
  switch (dim) {
    case 8:
      return f(std::integral_constant<int, 8>());
    case 16:
      return f(std::integral_constant<int, 16>());
    case 32:
      return f(std::integral_constant<int, 32>());
    case 64:
      return f(std::integral_constant<int, 64>());
    default:
      return f(std::integral_constant<int, 0>());
  }
}

}  // namespace

CpuTable::CpuTable(TableSpec spec, ThreadPool* pool, int64_t limit_bytes)
    : spec_(std::move(spec)),
      pool_(pool),
      initializer_(MakeRowInitializer(spec_)),
      optimizer_(MakeRowOptimizer(spec_)),
      initial_state_(InitialState(optimizer_)),
      dim_(spec_.dim),
      state_width_(StateWidth(optimizer_, spec_.dim)),
      memory_(limit_bytes) {
  segments_.reserve(Segment::kSegments);
  for (uint32_t s = 0; s < Segment::kSegments; ++s) {
    segments_.emplace_back(s, dim_ + state_width_, &memory_);
  }
}

int64_t CpuTable::rows() const {
  int64_t rows = 0;
  for (const Segment& segment : segments_) rows += segment.rows();
  return rows;
}

int64_t CpuTable::bytes() const {
  return memory_.held() + static_cast<int64_t>(sizeof(*this) + sizeof(Segment) * segments_.size() +
                                               sizeof(uint32_t) * order_.capacity());
}

Status CpuTable::OutOfMemory() const {
  std::string cause = memory_.limit() == kNoLimit
                          ? "the system has no more"
                          : "its limit is " + std::to_string(memory_.limit()) + " bytes";
  return Status(StatusCode::kOutOfMemory,
                "table " + spec_.name + ": no memory for another row; it holds " +
                    std::to_string(rows()) + " rows in " + std::to_string(bytes()) +
                    " bytes, and " + cause +
                    "; use more servers, a smaller dim or an optimizer with less state");
}

template <class SegmentOf, class Part>
void CpuTable::Spread(size_t n, const SegmentOf& segment_of, const Part& part) {
  if (pool_->size() == 1 || n < kMinParallel) {
    part(n, InOrder());
    return;
  }
  std::array<size_t, Segment::kSegments + 1> begin{};
  for (size_t i = 0; i < n; ++i) ++begin[segment_of(i) + 1];
  for (uint32_t s = 0; s < Segment::kSegments; ++s) begin[s + 1] += begin[s];
  order_.resize(n);
  auto next = begin;
  for (size_t i = 0; i < n; ++i) order_[next[segment_of(i)]++] = static_cast<uint32_t>(i);
  pool_->ParallelFor(Segment::kSegments, [&](int64_t s, int) {
    const uint32_t* elements = order_.data() + begin[s];
    part(begin[s + 1] - begin[s], [elements](size_t i) -> size_t { return elements[i]; });
  });
}

Result<int64_t> CpuTable::Pull(std::span<const Key> keys, Missing missing, std::span<float> weights,
                               std::span<RowHandle> handles) {
  CHECK_EQ(weights.size(), keys.size() * dim_);
  CHECK_EQ(handles.size(), keys.size());
  const std::shared_ptr<SnapshotLog> snapshot = log();
  const PullCall call{keys.data(), missing, weights.data(), handles.data(), snapshot.get()};
  std::atomic<int64_t> absent{0};
  std::atomic<bool> out_of_memory{false};
  const auto part = [&](size_t n, const auto& order) {
    const Pulled pulled =
        WithDim(dim_, [&](auto dim) { return PullPart<decltype(dim)::value>(call, n, order); });
    absent += pulled.missing;
    if (pulled.out_of_memory) out_of_memory = true;
  };
  try {
    Spread(
        keys.size(), [&](size_t i) { return Segment::Of(Mix64(keys[i].value)); }, part);
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
  if (out_of_memory) return OutOfMemory();
  return absent.load();
}

template <int kDim, class Order>
CpuTable::Pulled CpuTable::PullPart(const PullCall& call, size_t n, const Order& order) {
  const int dim = kDim ? kDim : dim_;
  const size_t groups = (n + kGroup - 1) / kGroup;
  const int row_lines = (dim + kLineFloats - 1) / kLineFloats;
  Group flights[kPullStages];
  Pulled pulled;
  const auto each = [&](size_t g, int lines, const auto& stage) {
    if (g >= groups) return;  // before the first group (wrapped around) or behind the last
    Group& group = flights[g % kPullStages];
    const size_t begin = g * kGroup;
    const size_t count = std::min(n - begin, kGroup);
    for (size_t k = 0; k < count; ++k) stage(order(begin + k), group, k);
    // In a loop of its own: a prefetch retires only when its address is translated, so that the
    // fewer instructions lie between, the more page walks overlap (half as fast again at 10 million
    // rows). Not in a function of its own: g++ 12 takes one that only prefetches for one that does
    // nothing.
    for (int line = 0; line < lines; ++line) {
      for (size_t k = 0; k < count; ++k) __builtin_prefetch(group.wanted[k] + line * kLineFloats);
    }
  };

  for (size_t g = 0; g < groups + kPullStages - 1; ++g) {
    each(g, 1, [&](size_t element, Group& group, size_t k) {
      group.mixed[k] = Mix64(call.keys[element].value);
      group.wanted[k] = static_cast<const float*>(
          segments_[Segment::Of(group.mixed[k])].index().HomeLine(group.mixed[k]));
    });
    each(g - 1, row_lines, [&](size_t element, Group& group, size_t k) {
      call.handles[element] = ProbeHome(&group, k);
    });
    each(g - 2, 0, [&](size_t element, Group& group, size_t k) {
      if (!group.row[k]) [[unlikely]]
        Resolve(call, element, &group, k, &pulled);
    });
    if (pulled.out_of_memory) return pulled;
    each(g - 3, 0, [&](size_t element, Group& group, size_t k) {
      float* out = call.weights + element * dim;
      if (group.row[k]) [[likely]] {
        std::memcpy(out, group.row[k], dim * sizeof(float));
      } else {
        FillUnseen(call.keys[element], out);
      }
    });
  }
  return pulled;
}

// Reads the home bucket; wants the row, or the line to look at next.
inline RowHandle CpuTable::ProbeHome(Group* group, size_t k) const {
  const uint32_t s = Segment::Of(group->mixed[k]);
  const Segment& segment = segments_[s];
  group->row[k] = nullptr;
  if (segment.rows() == 0) [[unlikely]]
    return {s, RowHandle::kAbsentRow};
  const void* next;
  const uint32_t row = segment.index().FindAtHome(group->mixed[k], &next);
  // By masks, since g++ makes of a choice a branch that goes wrong in one of forty keys. Row 0
  // stands in for an absent one.
  const uintptr_t found =
      -static_cast<uintptr_t>(row != RowHandle::kAbsentRow);  // all bits, or none
  const auto floats =
      reinterpret_cast<uintptr_t>(segment.At(row & static_cast<uint32_t>(found)).floats);
  const auto line = reinterpret_cast<uintptr_t>(next);
  group->row[k] = reinterpret_cast<const float*>(floats & found);
  group->wanted[k] = reinterpret_cast<const float*>(line ^ ((line ^ floats) & found));
  return {s, row};
}

// A key that is not in its home bucket: one in forty that is in the next, or a new one.
void CpuTable::Resolve(const PullCall& call, size_t element, Group* group, size_t k,
                       Pulled* pulled) {
  RowHandle& handle = call.handles[element];
  const Segment& segment = segments_[handle.segment];
  handle.row = segment.index().Find(group->mixed[k]);
  if (!handle.absent()) {
    group->row[k] = segment.At(handle.row).floats;
    PrefetchRow(group->row[k], dim_);
    return;
  }
  ++pulled->missing;
  if (call.missing == Missing::kRead || pulled->out_of_memory) return;
  group->row[k] = Create(group->mixed[k], call.keys[element], call.log, &handle).floats;
  if (!group->row[k]) pulled->out_of_memory = true;
}

// The new row's place; null floats if there is no memory.
RowPlace CpuTable::Create(uint64_t mixed, Key key, SnapshotLog* log, RowHandle* handle) {
  Segment& segment = segments_[handle->segment];
  {
    const bool grows = log && !segment.index().HasRoom();
    const auto lock = grows ? log->LockIndex(handle->segment) : std::unique_lock<std::mutex>();
    handle->row = TryCreate(&segment, mixed);
  }
  if (handle->absent()) return {nullptr, nullptr};
  const RowPlace place = segment.At(handle->row);
  FillInitialWeights(initializer_, spec_.seed, key.value, dim_, place.floats);
  std::fill_n(place.floats + dim_, state_width_, initial_state_);
  return place;
}

void CpuTable::FillUnseen(Key key, float* weights) const {
  if (spec_.unseen == INIT) {
    FillInitialWeights(initializer_, spec_.seed, key.value, dim_, weights);
  } else {
    std::fill_n(weights, dim_, 0.0f);
  }
}

Status CpuTable::Push(std::span<const RowHandle> handles, std::span<const float> gradients,
                      std::span<const KeyCounts> counts, int64_t step, float lr_factor) {
  CHECK_EQ(gradients.size(), handles.size() * dim_);
  CHECK_EQ(counts.size(), handles.size());
  CHECK_GE(step, 1);
  const PushCall call{handles.data(), gradients.data(), counts.data(), step};
  const auto push = [&](const auto& optimizer) {
    const auto at_step = optimizer.AtStep(step, lr_factor);
    Spread(
        handles.size(), [&](size_t i) { return handles[i].segment; },
        [&](size_t n, const auto& order) {
          WithDim(dim_, [&](auto dim) { PushPart<decltype(dim)::value>(call, at_step, n, order); });
        });
  };
  try {
    if (const std::shared_ptr<SnapshotLog> snapshot = log()) snapshot->BeforePush(handles, pool_);
    std::visit(push, optimizer_);
  } catch (const std::bad_alloc&) {
    return OutOfMemory();  // of the log or Spread's order, before any row was touched
  }
  return Ok();
}

template <int kDim, class Optimizer, class Order>
void CpuTable::PushPart(const PushCall& call, const Optimizer& optimizer, size_t n,
                        const Order& order) {
  const int dim = kDim ? kDim : dim_;
  const int row_floats = dim + optimizer.StateWidth(dim);
  const size_t groups = (n + kGroup - 1) / kGroup;
  RowPlace places[2][kGroup];

  const auto locate = [&](size_t g) {
    for (size_t i = g * kGroup, end = std::min(n, i + kGroup), k = 0; i < end; ++i, ++k) {
      const RowHandle handle = call.handles[order(i)];
      CHECK_LT(handle.row, segments_[handle.segment].rows()) << "Push to a row that is not there";
      const RowPlace place = segments_[handle.segment].At(handle.row);
      PrefetchRowToWrite(place.floats, row_floats);
      __builtin_prefetch(place.counters, 1);
      places[g % 2][k] = place;
    }
  };
  const auto apply = [&](size_t g) {
    for (size_t i = g * kGroup, end = std::min(n, i + kGroup), k = 0; i < end; ++i, ++k) {
      const size_t element = order(i);
      const RowPlace place = places[g % 2][k];
      optimizer.Apply(place.floats, place.floats + dim, call.gradients + element * dim, dim);
      place.counters->occurrences += call.counts[element].occurrences;
      place.counters->samples += call.counts[element].samples;
      place.counters->last_step = call.step;
    }
  };

  for (size_t g = 0; g < groups + 1; ++g) {
    if (g < groups) locate(g);
    if (g >= 1) apply(g - 1);
  }
}

void CpuTable::Reserve(int64_t rows) {
  CHECK(!log()) << "Reserve during a snapshot";
  // Keys fall into segments by chance: five standard deviations more than the mean.
  const double mean = static_cast<double>(rows) / Segment::kSegments;
  const auto each = static_cast<uint64_t>(mean + 5 * std::sqrt(mean));
  pool_->ParallelFor(Segment::kSegments, [&](int64_t s, int) { segments_[s].Reserve(each); });
}

Status CpuTable::Insert(std::span<const RowView> rows) {
  CHECK(!log()) << "Insert during a snapshot";
  NotInserted first;
  std::mutex mutex;
  const auto part = [&](size_t n, const auto& order) {
    const NotInserted failed = InsertPart(rows, n, order);
    std::lock_guard lock(mutex);
    if (failed.element < first.element) first = failed;
  };
  try {
    Spread(
        rows.size(), [&](size_t i) { return Segment::Of(Mix64(rows[i].key.value)); }, part);
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
  if (first.element == NotInserted::kNone) return Ok();
  return Explain(rows[first.element], first.cause);
}

template <class Order>
CpuTable::NotInserted CpuTable::InsertPart(std::span<const RowView> rows, size_t n,
                                           const Order& order) {
  using Cause = NotInserted::Cause;
  const int row_floats = dim_ + state_width_;
  for (size_t i = 0; i < n; ++i) {
    const uint64_t ahead = Mix64(rows[order(std::min(i + kInsertAhead, n - 1))].key.value);
    __builtin_prefetch(segments_[Segment::Of(ahead)].index().HomeLine(ahead), 1);

    const RowView& row = rows[order(i)];
    if (static_cast<int>(row.weights.size()) != dim_ ||
        static_cast<int>(row.state.size()) != state_width_) {
      return {order(i), Cause::kWidth};
    }
    const uint64_t mixed = Mix64(row.key.value);
    Segment& segment = segments_[Segment::Of(mixed)];
    if (segment.index().Find(mixed) != KeyIndex::kAbsent) return {order(i), Cause::kTwice};
    const uint32_t number = TryCreate(&segment, mixed);
    if (number == KeyIndex::kAbsent) return {order(i), Cause::kMemory};
    const RowPlace place = segment.At(number);
    std::memcpy(place.floats, row.weights.data(), row.weights.size_bytes());
    std::memcpy(place.floats + dim_, row.state.data(), row.state.size_bytes());
    *place.counters = {row.occurrences, row.samples, row.last_step};
    // Where a row will come that is some rows away: mostly in the same block.
    PrefetchRowToWrite(place.floats + kInsertBeyond * row_floats, row_floats);
    __builtin_prefetch(place.counters + kInsertBeyond, 1);
  }
  return {};
}

Status CpuTable::Explain(const RowView& row, NotInserted::Cause cause) const {
  const std::string key = "key " + std::to_string(row.key.value);
  switch (cause) {
    case NotInserted::Cause::kWidth:
      return Status(StatusCode::kCorrupt,
                    "table " + spec_.name + ": the row of " + key + " has " +
                        std::to_string(row.weights.size()) + " weights and " +
                        std::to_string(row.state.size()) + " floats of state; the table has " +
                        std::to_string(dim_) + " and " + std::to_string(state_width_));
    case NotInserted::Cause::kTwice:
      return Status(StatusCode::kCorrupt, "table " + spec_.name + ": " + key + " is there twice");
    case NotInserted::Cause::kMemory:
      break;
  }
  return OutOfMemory();
}

}  // namespace trestle::embedding

namespace trestle {

Result<std::unique_ptr<EmbeddingTable>> MakeCpuTable(TableSpec spec, ThreadPool* pool) {
  return std::unique_ptr<EmbeddingTable>(
      std::make_unique<embedding::CpuTable>(std::move(spec), pool));
}

}  // namespace trestle
