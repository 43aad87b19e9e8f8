#include "cuda/gpu_table.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/hash.h"
#include "base/partition.h"
#include "embedding/row_order.h"

namespace trestle::cuda {
namespace {

constexpr int64_t kRowsAtOnce = 65'536;  // that a scan brings to the host

std::vector<uint32_t> RowNumbers(std::span<const RowHandle> handles, int64_t rows) {
  std::vector<uint32_t> numbers;
  numbers.reserve(handles.size());
  for (const RowHandle& handle : handles) {
    CHECK_LT(handle.row, rows) << "Push to a row that is not there";
    numbers.push_back(handle.row);
  }
  return numbers;
}

}  // namespace

Result<std::unique_ptr<EmbeddingTable>> GpuTable::Make(TableSpec spec, const Place& place) {
  std::unique_ptr<GpuTable> table(new GpuTable(std::move(spec), place));
  const Status made = table->GrowIndex(kLeastSlots);
  if (!made.ok()) return table->Explain(made);
  return std::unique_ptr<EmbeddingTable>(std::move(table));
}

GpuTable::GpuTable(TableSpec spec, const Place& place)
    : spec_(std::move(spec)),
      place_(place),
      initializer_(embedding::MakeRowInitializer(spec_)),
      optimizer_(embedding::MakeRowOptimizer(spec_)),
      state_width_(embedding::StateWidth(optimizer_, spec_.dim)),
      layout_(spec_.dim, state_width_, place.block_bytes),
      index_(place.runtime),
      block_table_(place.runtime),
      keys_(place.runtime),
      missing_(place.runtime),
      before_(place.runtime),
      scratch_(place.runtime),
      occurrences_(place.runtime),
      samples_(place.runtime),
      found_(place.runtime),
      floats_(place.runtime),
      counters_(place.runtime) {}

int64_t GpuTable::bytes() const {
  int64_t sum = index_.bytes() + block_table_.bytes();
  for (const GpuBuffer& block : blocks_) sum += block.bytes();
  for (const GpuBuffer* staging : {&keys_, &missing_, &before_, &scratch_, &occurrences_, &samples_,
                                   &found_, &floats_, &counters_}) {
    sum += staging->bytes();
  }
  return sum;
}

IndexView GpuTable::View(const GpuBuffer& index, int64_t slots) const {
  auto* const keys = index.as<uint64_t>();
  return {keys, reinterpret_cast<uint32_t*>(keys + slots + 1), static_cast<uint64_t>(slots)};
}

RowsView GpuTable::Rows() const {
  return {block_table_.as<char*>(), layout_.row_bits(), layout_.row_floats(),
          layout_.floats_offset()};
}

template <class T>
Status GpuTable::Upload(GpuBuffer* to, std::span<const T> from) const {
  TRESTLE_RETURN_IF_ERROR(to->Hold(static_cast<int64_t>(from.size_bytes())));
  return place_.runtime->CopyAsync(to->as<void>(), from.data(), from.size_bytes(),
                                   GpuRuntime::Copy::kToDevice, place_.stream);
}

template <class T>
Status GpuTable::Download(std::span<T> to, const void* from) const {
  TRESTLE_RETURN_IF_ERROR(place_.runtime->CopyAsync(to.data(), from, to.size_bytes(),
                                                    GpuRuntime::Copy::kToHost, place_.stream));
  return place_.runtime->Synchronize(place_.stream);
}

Status GpuTable::Explain(const Status& failure) const {
  if (failure.ok() || failure.code() != StatusCode::kOutOfMemory) return failure;
  return failure.Wrap("table " + spec_.name + ": no GPU memory; it holds " + std::to_string(rows_) +
                      " rows in " + std::to_string(bytes()) +
                      " bytes; use more GPUs, a smaller dim or an optimizer with less state");
}

// All of them, or none.
Status GpuTable::AddBlocks(int64_t blocks) {
  std::vector<GpuBuffer> more;
  while (static_cast<int64_t>(blocks_.size() + more.size()) < blocks) {
    more.emplace_back(place_.runtime);
    TRESTLE_RETURN_IF_ERROR(more.back().Hold(layout_.block_bytes()));
  }
  if (more.empty()) return {};
  std::vector<char*> addresses;
  for (const GpuBuffer& block : blocks_) addresses.push_back(block.as<char>());
  for (const GpuBuffer& block : more) addresses.push_back(block.as<char>());
  GpuBuffer table(place_.runtime);
  TRESTLE_RETURN_IF_ERROR(Upload(&table, std::span<char* const>(addresses)));
  TRESTLE_RETURN_IF_ERROR(place_.runtime->Synchronize(place_.stream));  // `addresses` goes
  block_table_ = std::move(table);
  std::move(more.begin(), more.end(), std::back_inserter(blocks_));
  return {};
}

Status GpuTable::GrowIndex(int64_t slots) {
  GpuBuffer index(place_.runtime);
  TRESTLE_RETURN_IF_ERROR(index.Hold(IndexBytes(slots)));
  TRESTLE_RETURN_IF_ERROR(place_.runtime->FillAsync(
      index.as<void>(), 0xFF, static_cast<size_t>(IndexBytes(slots)), place_.stream));
  if (rows_ > 0) TRESTLE_RETURN_IF_ERROR(Run(Reindex{View(index, slots), Rows()}, rows_));
  TRESTLE_RETURN_IF_ERROR(place_.runtime->Synchronize(place_.stream));
  index_ = std::move(index);
  slots_ = slots;
  return {};
}

Status GpuTable::MakeRoom(int64_t rows) {
  if (rows > kMostRows) {
    return {StatusCode::kOutOfMemory, "a GPU's part of a table has at most 4294967294 rows"};
  }
  const int64_t slots = SlotsFor(rows, slots_);
  if (slots > slots_) TRESTLE_RETURN_IF_ERROR(GrowIndex(slots));
  return AddBlocks(layout_.BlocksFor(rows));
}

Result<int64_t> GpuTable::Find(std::span<const Key> keys) {
  const auto n = static_cast<int64_t>(keys.size());
  static_assert(sizeof(Key) == sizeof(uint64_t));
  TRESTLE_RETURN_IF_ERROR(Upload(&keys_, keys));
  TRESTLE_RETURN_IF_ERROR(found_.Hold(n * sizeof(uint32_t)));
  TRESTLE_RETURN_IF_ERROR(missing_.Hold(n * sizeof(uint32_t)));
  TRESTLE_RETURN_IF_ERROR(before_.Hold(n * sizeof(uint32_t)));
  TRESTLE_ASSIGN_OR_RETURN(const int64_t scratch, place_.kernels->ScanBytes(n));
  TRESTLE_RETURN_IF_ERROR(scratch_.Hold(scratch));
  TRESTLE_RETURN_IF_ERROR(Run(FindRows{View(index_, slots_), keys_.as<uint64_t>(),
                                       found_.as<uint32_t>(), missing_.as<uint32_t>()},
                              n));
  TRESTLE_RETURN_IF_ERROR(place_.kernels->Scan(missing_.as<uint32_t>(), before_.as<uint32_t>(), n,
                                               scratch_.as<void>(), scratch, place_.stream));
  std::array<uint32_t, 2> last = {};  // how many are missing before the last key, and whether it is
  TRESTLE_RETURN_IF_ERROR(Download(std::span(last).first(1), before_.as<uint32_t>() + n - 1));
  TRESTLE_RETURN_IF_ERROR(Download(std::span(last).last(1), missing_.as<uint32_t>() + n - 1));
  return int64_t{last[0]} + last[1];
}

Status GpuTable::Create(int64_t keys, int64_t missing) {
  TRESTLE_RETURN_IF_ERROR(MakeRoom(rows_ + missing));
  const auto run = [&](const auto& init) {
    using Init = std::decay_t<decltype(init)>;
    return Run(
        CreateRows<Init>{View(index_, slots_), Rows(), init, spec_.seed, spec_.dim, state_width_,
                         embedding::InitialState(optimizer_), rows_, keys_.as<uint64_t>(),
                         missing_.as<uint32_t>(), before_.as<uint32_t>(), found_.as<uint32_t>()},
        keys);
  };
  TRESTLE_RETURN_IF_ERROR(std::visit(run, initializer_));
  rows_ += missing;
  return {};
}

Status GpuTable::Read(int64_t keys, int floats, bool unseen_init, float* to) const {
  const int64_t count = keys * floats;
  TRESTLE_RETURN_IF_ERROR(floats_.Hold(count * sizeof(float)));
  const auto run = [&](const auto& init) {
    using Init = std::decay_t<decltype(init)>;
    return Run(GatherRows<Init>{Rows(), init, unseen_init, spec_.seed, floats, keys_.as<uint64_t>(),
                                found_.as<uint32_t>(), floats_.as<float>()},
               keys);
  };
  TRESTLE_RETURN_IF_ERROR(std::visit(run, initializer_));
  return Download(std::span(to, static_cast<size_t>(count)), floats_.as<void>());
}

Result<int64_t> GpuTable::Pull(std::span<const Key> keys, Missing missing, std::span<float> weights,
                               std::span<RowHandle> handles) {
  CHECK_EQ(weights.size(), keys.size() * spec_.dim);
  CHECK_EQ(handles.size(), keys.size());
  if (keys.empty()) return 0;
  const auto n = static_cast<int64_t>(keys.size());
  const auto pull = [&]() -> Result<int64_t> {
    // Memory ends before a row is created, or not at all.
    TRESTLE_RETURN_IF_ERROR(floats_.Hold(n * spec_.dim * sizeof(float)));
    TRESTLE_ASSIGN_OR_RETURN(const int64_t absent, Find(keys));
    if (missing == Missing::kCreate && absent > 0) TRESTLE_RETURN_IF_ERROR(Create(n, absent));
    TRESTLE_RETURN_IF_ERROR(Read(n, spec_.dim, spec_.unseen == INIT, weights.data()));
    std::vector<uint32_t> rows(keys.size());
    TRESTLE_RETURN_IF_ERROR(Download(std::span(rows), found_.as<void>()));
    for (size_t i = 0; i < rows.size(); ++i) handles[i] = {0, rows[i]};
    return absent;
  };
  Result<int64_t> absent = pull();
  if (!absent.ok()) return Explain(absent.status());
  return absent;
}

Status GpuTable::Push(std::span<const RowHandle> handles, std::span<const float> gradients,
                      std::span<const KeyCounts> counts, int64_t step, float lr_factor) {
  CHECK_EQ(gradients.size(), handles.size() * spec_.dim);
  CHECK_EQ(counts.size(), handles.size());
  CHECK_GE(step, 1);
  if (handles.empty()) return {};
  const std::vector<uint32_t> rows = RowNumbers(handles, rows_);
  std::vector<uint32_t> occurrences, samples;
  for (const KeyCounts& count : counts) {
    occurrences.push_back(count.occurrences);
    samples.push_back(count.samples);
  }
  const auto push = [&](const auto& optimizer) -> Status {
    using Optimizer = std::decay_t<decltype(optimizer)>;
    TRESTLE_RETURN_IF_ERROR(Upload(&found_, std::span<const uint32_t>(rows)));
    TRESTLE_RETURN_IF_ERROR(Upload(&floats_, gradients));
    TRESTLE_RETURN_IF_ERROR(Upload(&occurrences_, std::span<const uint32_t>(occurrences)));
    TRESTLE_RETURN_IF_ERROR(Upload(&samples_, std::span<const uint32_t>(samples)));
    TRESTLE_RETURN_IF_ERROR(
        Run(UpdateRows<Optimizer>{Rows(), optimizer.AtStep(step, lr_factor), spec_.dim, step,
                                  found_.as<uint32_t>(), floats_.as<float>(),
                                  occurrences_.as<uint32_t>(), samples_.as<uint32_t>()},
            static_cast<int64_t>(rows.size())));
    return place_.runtime->Synchronize(place_.stream);
  };
  return Explain(std::visit(push, optimizer_));
}

Result<std::vector<uint64_t>> GpuTable::AllKeys() const {
  std::vector<uint64_t> keys;
  std::vector<RowCounters> some;
  for (int64_t first = 0; first < rows_; first += kRowsAtOnce) {
    const int64_t n = std::min(kRowsAtOnce, rows_ - first);
    some.resize(static_cast<size_t>(n));
    TRESTLE_RETURN_IF_ERROR(counters_.Hold(n * sizeof(RowCounters)));
    TRESTLE_RETURN_IF_ERROR(
        Run(ReadCounters{Rows(), first, nullptr, counters_.as<RowCounters>()}, n));
    TRESTLE_RETURN_IF_ERROR(Download(std::span(some), counters_.as<void>()));
    for (const RowCounters& counters : some) keys.push_back(counters.key);
  }
  return keys;
}

Status GpuTable::VisitRows(std::span<const uint32_t> rows,
                           const std::function<Status(const RowView&)>& visit) const {
  const auto n = static_cast<int64_t>(rows.size());
  const int width = spec_.dim + state_width_;
  std::vector<RowCounters> counters(rows.size());
  std::vector<float> floats(rows.size() * static_cast<size_t>(width));
  TRESTLE_RETURN_IF_ERROR(Upload(&found_, rows));
  TRESTLE_RETURN_IF_ERROR(counters_.Hold(n * sizeof(RowCounters)));
  TRESTLE_RETURN_IF_ERROR(
      Run(ReadCounters{Rows(), 0, found_.as<uint32_t>(), counters_.as<RowCounters>()}, n));
  TRESTLE_RETURN_IF_ERROR(Download(std::span(counters), counters_.as<void>()));
  TRESTLE_RETURN_IF_ERROR(Read(n, width, false, floats.data()));
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::span<const float> row(floats.data() + i * width, static_cast<size_t>(width));
    TRESTLE_RETURN_IF_ERROR(visit({.key = Key{counters[i].key},
                                   .weights = row.first(static_cast<size_t>(spec_.dim)),
                                   .state = row.subspan(static_cast<size_t>(spec_.dim)),
                                   .occurrences = counters[i].occurrences,
                                   .samples = counters[i].samples,
                                   .last_step = counters[i].last_step}));
  }
  return {};
}

Status GpuTable::ForEachRow(uint32_t begin_partition, uint32_t end_partition,
                            const std::function<Status(const RowView&)>& visit) const {
  const auto keys = AllKeys();
  if (!keys.ok()) return Explain(keys.status());
  const auto scan = [&](const auto& see) {
    for (size_t row = 0; row < keys->size(); ++row) {
      see(embedding::RowEntry{Mix64((*keys)[row]), 0, static_cast<uint32_t>(row)});
    }
  };
  return embedding::VisitInOrder(rows_, begin_partition, end_partition, scan,
                                 [&](std::span<const embedding::RowEntry> entries) -> Status {
                                   std::vector<uint32_t> rows;
                                   for (size_t i = 0; i < entries.size(); ++i) {
                                     rows.push_back(entries[i].row);
                                     if (rows.size() < kRowsAtOnce && i + 1 < entries.size())
                                       continue;
                                     TRESTLE_RETURN_IF_ERROR(Explain(VisitRows(rows, visit)));
                                     rows.clear();
                                   }
                                   return {};
                                 });
}

Result<std::unique_ptr<TableSnapshot>> GpuTable::Snapshot(std::shared_ptr<SnapshotMemory>) {
  return Status(StatusCode::kUnsupported,
                "table " + spec_.name + ": tables in GPU memory have no snapshots yet");
}

void GpuTable::Reserve(int64_t rows) {
  const Status made = MakeRoom(rows_ + rows);
  LOG_IF(WARNING, !made.ok()) << Explain(made).ToString();  // a hint; Insert says so again
}

Status GpuTable::CheckWidths(std::span<const RowView> rows) const {
  for (const RowView& row : rows) {
    if (static_cast<int>(row.weights.size()) == spec_.dim &&
        static_cast<int>(row.state.size()) == state_width_) {
      continue;
    }
    return {StatusCode::kCorrupt,
            "table " + spec_.name + ": the row of key " + std::to_string(row.key.value) + " has " +
                std::to_string(row.weights.size()) + " weights and " +
                std::to_string(row.state.size()) + " floats of state; the table has " +
                std::to_string(spec_.dim) + " and " + std::to_string(state_width_)};
  }
  return {};
}

// That no key is twice among the rows, nor in the table; Find's results stay.
Status GpuTable::CheckNew(std::span<const RowView> rows) {
  std::vector<Key> keys;
  for (const RowView& row : rows) keys.push_back(row.key);
  TRESTLE_ASSIGN_OR_RETURN(const int64_t missing, Find(keys));
  const auto twice = [&](Key key) {
    return Status(StatusCode::kCorrupt,
                  "table " + spec_.name + ": key " + std::to_string(key.value) + " is there twice");
  };
  if (missing < static_cast<int64_t>(keys.size())) {
    std::vector<uint32_t> found(keys.size());
    TRESTLE_RETURN_IF_ERROR(Download(std::span(found), found_.as<void>()));
    for (size_t i = 0; i < found.size(); ++i) {
      if (found[i] != kAbsentRow) return twice(keys[i]);
    }
  }
  std::sort(keys.begin(), keys.end());
  const auto same = std::adjacent_find(keys.begin(), keys.end());
  return same == keys.end() ? Status() : twice(*same);
}

Status GpuTable::Insert(std::span<const RowView> rows) {
  if (rows.empty()) return {};
  TRESTLE_RETURN_IF_ERROR(CheckWidths(rows));
  const auto n = static_cast<int64_t>(rows.size());
  const int width = spec_.dim + state_width_;
  std::vector<float> floats;
  std::vector<RowCounters> counters;
  for (const RowView& row : rows) {
    floats.insert(floats.end(), row.weights.begin(), row.weights.end());
    floats.insert(floats.end(), row.state.begin(), row.state.end());
    counters.push_back({row.key.value, row.occurrences, row.samples, row.last_step});
  }
  const auto insert = [&]() -> Status {
    TRESTLE_RETURN_IF_ERROR(CheckNew(rows));
    TRESTLE_RETURN_IF_ERROR(Upload(&floats_, std::span<const float>(floats)));
    TRESTLE_RETURN_IF_ERROR(Upload(&counters_, std::span<const RowCounters>(counters)));
    TRESTLE_RETURN_IF_ERROR(Create(n, n));
    TRESTLE_RETURN_IF_ERROR(Run(WriteRows{Rows(), width, found_.as<uint32_t>(), floats_.as<float>(),
                                          counters_.as<RowCounters>()},
                                n));
    return place_.runtime->Synchronize(place_.stream);
  };
  return Explain(insert());
}

uint64_t GpuTable::Digest() const {
  uint64_t digest = 0;
  const Status read = ForEachRow(0, kPartitions, [&](const RowView& row) {
    digest += HashRow(row);
    return Ok();
  });
  CHECK(read.ok()) << read.ToString();
  return digest;
}

}  // namespace trestle::cuda
