// Lookups and updates a second of the table in host memory, against what bounds them from both
// sides:
//   array    a plain array of the same rows (weights and Adagrad state) on huge pages, reached by
//   row
//            number in the same random order: no keys, no index, no counters
//   ahead    the same array with rows prefetched 16 ahead: what the memory gives at best
//   map      std::unordered_map<uint64_t, row>, rows in its nodes, found by key for lookup and for
//   update
// One thread. A batch is 65,536 distinct random keys; a turn is 32 batches. In a round each
// contestant has a turn of lookups on the same batches, then each a turn of updates; the order
// rotates. Time is the thread's CPU time, so that a machine shared with others disturbs less;
// printed are medians over rounds. A batch's keys and row numbers are read before its time is
// taken: in a step they have just been written. The weights looked up in each turn's last batch are
// compared, and all rows at the end: if a bit differs the exit status is 1.
//
// Usage: embedding_bench [rows [dim]]      default 10000000 16; dim 8, 16, 32 or 64
// As embedding/CMakeLists.txt does for the table's own loops: lets sqrt be vectorized.
#pragma GCC optimize("no-math-errno")

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "base/partition.h"
#include "base/philox.h"
#include "embedding/table.h"

namespace trestle {
namespace {

constexpr size_t kBatch = 65'536;
constexpr int kTurn = 32;  // batches
constexpr int kRounds = 5;
constexpr float kLr = 0.05f;
constexpr float kEpsilon = 1e-10f;

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "embedding_bench: %s\n", what.c_str());
  std::exit(1);
}
void Must(const Status& status) {
  if (!status.ok()) Fail(status.ToString());
}

// Keys spread over all 64 bits, so that the map meets no easy ones; RowOf is the inverse.
Key KeyOf(uint64_t row) { return Key{Mix64(row ^ 0x9E3779B97F4A7C15ull)}; }
uint64_t RowOf(Key key) { return Unmix64(key.value) ^ 0x9E3779B97F4A7C15ull; }

struct Batch {
  std::vector<uint32_t> rows;  // distinct
  std::vector<Key> keys;
  std::vector<float> gradients;
  std::vector<KeyCounts> counts;
  std::vector<RowHandle> handles;  // from the table's lookup
};

Batch MakeBatch(uint64_t number, uint64_t rows, int dim) {
  Batch batch;
  std::vector<bool> taken(rows);
  for (uint64_t i = 0; batch.rows.size() < std::min<uint64_t>(kBatch, rows / 2); ++i) {
    const uint64_t row = (uint64_t{Philox(7, number, i)[0]} * rows) >> 32;
    if (taken[row]) continue;
    taken[row] = true;
    batch.rows.push_back(static_cast<uint32_t>(row));
    batch.keys.push_back(KeyOf(row));
    batch.counts.push_back({1, 1});
    for (int d = 0; d < dim; ++d) {
      const uint32_t word = Philox(8 + number, row, static_cast<uint64_t>(d))[0];
      batch.gradients.push_back(UniformFloat(word) - 0.5f);
    }
  }
  batch.handles.resize(batch.rows.size());
  return batch;
}

template <int kDim>
struct Row {
  float weights[kDim];
  float state[kDim];

  void Adagrad(const float* __restrict g) {
#pragma omp simd
    for (int d = 0; d < kDim; ++d) {
      state[d] += g[d] * g[d];
      weights[d] -= kLr * g[d] / (std::sqrt(state[d]) + kEpsilon);
    }
  }
};

class TrestleTable {
 public:
  TrestleTable(int dim, ThreadPool* pool) {
    Table settings;
    settings.set_name("bench");
    settings.set_dim(dim);
    settings.mutable_optimizer()->mutable_adagrad()->set_lr(kLr);
    settings.mutable_optimizer()->mutable_adagrad()->set_epsilon(kEpsilon);
    auto spec = MakeTableSpec(settings, 1);
    Must(spec.status());
    auto table = MakeCpuTable(*spec, pool);
    Must(table.status());
    table_ = std::move(table).value();
  }
  void Lookup(Batch& batch, std::span<float> weights) {
    Must(table_->Pull(batch.keys, EmbeddingTable::Missing::kCreate, weights, batch.handles)
             .status());
  }
  void Update(const Batch& batch, int64_t step) {
    Must(table_->Push(batch.handles, batch.gradients, batch.counts, step, 1.0f));
  }
  EmbeddingTable& table() { return *table_; }

 private:
  std::unique_ptr<EmbeddingTable> table_;
};

// Prefetches rows kAhead accesses before they are due; 0: leaves it to the core.
template <int kDim, size_t kAhead>
class PlainArray {
 public:
  explicit PlainArray(uint64_t rows) : bytes_(rows * sizeof(Row<kDim>) + kHugePage) {
    mapped_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) Fail("no memory for the array");
    const auto address =
        (reinterpret_cast<uintptr_t>(mapped_) + kHugePage - 1) / kHugePage * kHugePage;
    rows_ = reinterpret_cast<Row<kDim>*>(address);
    madvise(rows_, bytes_ - kHugePage, MADV_HUGEPAGE);
  }
  ~PlainArray() { munmap(mapped_, bytes_); }
  Row<kDim>& row(uint64_t r) { return rows_[r]; }

  void Lookup(const Batch& batch, std::span<float> weights) {
    const size_t n = batch.rows.size();
    for (size_t i = 0; i < n; ++i) {
      if constexpr (kAhead > 0) {
        const Row<kDim>& ahead = rows_[batch.rows[std::min(i + kAhead, n - 1)]];
        for (int d = 0; d < kDim; d += 16) __builtin_prefetch(ahead.weights + d);
      }
      std::memcpy(weights.data() + i * kDim, rows_[batch.rows[i]].weights, kDim * sizeof(float));
    }
  }
  void Update(const Batch& batch) {
    const size_t n = batch.rows.size();
    for (size_t i = 0; i < n; ++i) {
      if constexpr (kAhead > 0) {
        const Row<kDim>& ahead = rows_[batch.rows[std::min(i + kAhead, n - 1)]];
        for (int d = 0; d < kDim; d += 16) __builtin_prefetch(ahead.weights + d, 1);
        for (int d = 0; d < kDim; d += 16) __builtin_prefetch(ahead.state + d, 1);
      }
      rows_[batch.rows[i]].Adagrad(batch.gradients.data() + i * kDim);
    }
  }

 private:
  static constexpr size_t kHugePage = size_t{2} << 20;
  size_t bytes_;
  void* mapped_;
  Row<kDim>* rows_;
};

template <int kDim>
class StdMap {
 public:
  explicit StdMap(uint64_t rows) { map_.reserve(rows); }
  Row<kDim>& row(Key key) { return map_[key.value]; }

  void Lookup(const Batch& batch, std::span<float> weights) {
    for (size_t i = 0; i < batch.keys.size(); ++i) {
      const Row<kDim>& row = map_.find(batch.keys[i].value)->second;
      std::memcpy(weights.data() + i * kDim, row.weights, kDim * sizeof(float));
    }
  }
  void Update(const Batch& batch) {
    for (size_t i = 0; i < batch.keys.size(); ++i) {
      map_.find(batch.keys[i].value)->second.Adagrad(batch.gradients.data() + i * kDim);
    }
  }

 private:
  std::unordered_map<uint64_t, Row<kDim>> map_;
};

constexpr int kContestants = 4;
// Millions a second, by batch, of table, array, ahead, map.
using Rates = std::array<std::vector<double>, kContestants>;

double CpuSeconds() {
  timespec now;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) Fail("no CPU clock for threads");
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// What a contestant does with a batch; `weights` receives what it looked up.
using Work = std::function<void(Batch& batch, std::span<float> weights)>;
using Works = std::array<Work, kContestants>;

// Reads what names a batch's rows.
uint64_t Touch(const Batch& batch) {
  return Hash64(std::as_bytes(std::span(batch.rows)), Hash64(std::as_bytes(std::span(batch.keys))));
}

// One round: each contestant works on all batches of its turn, in an order that rotates with
// `round`.
void TakeTurns(int round, const Works& works, std::vector<Batch>& batches, std::span<float> weights,
               Rates* rates) {
  std::array<std::vector<uint64_t>, kContestants> hashes;
  for (int i = 0; i < kContestants; ++i) {
    const int who = (round + i) % kContestants;
    double seconds = 0, operations = 0;
    for (Batch& batch : batches) {
      hashes[who].push_back(Touch(batch));
      const double start = CpuSeconds();
      works[who](batch, weights);
      seconds += CpuSeconds() - start;
      operations += static_cast<double>(batch.rows.size());
    }
    hashes[who].push_back(Hash64(std::as_bytes(weights)));
    (*rates)[who].push_back(operations / seconds / 1e6);
  }
  for (const auto& h : hashes) {
    if (h != hashes[0]) Fail("lookups differ");
  }
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void PrintLine(const char* what, const Rates& rates) {
  const double table = Median(rates[0]), array = Median(rates[1]), ahead = Median(rates[2]),
               map = Median(rates[3]);
  std::printf("%-8s %8.1f %8.1f %8.1f %8.1f %13.0f %% %13.0f %% %13.1f x\n", what, table, array,
              ahead, map, 100 * table / array, 100 * table / ahead, table / map);
}

template <int kDim>
struct Contestants {
  Contestants(uint64_t rows, ThreadPool* pool)
      : table(kDim, pool), array(rows), ahead(rows), map(rows) {}
  TrestleTable table;
  PlainArray<kDim, 0> array;
  PlainArray<kDim, 16> ahead;
  StdMap<kDim> map;
};

// Creates all rows in the table, and copies them to the others.
template <int kDim>
void Create(uint64_t rows, Contestants<kDim>& c) {
  double seconds = 0;
  std::vector<float> weights;
  for (uint64_t begin = 0; begin < rows; begin += kBatch) {
    Batch batch;
    for (uint64_t r = begin; r < std::min(rows, begin + kBatch); ++r)
      batch.keys.push_back(KeyOf(r));
    batch.handles.resize(batch.keys.size());
    weights.resize(batch.keys.size() * kDim);
    const double start = CpuSeconds();
    c.table.Lookup(batch, weights);
    seconds += CpuSeconds() - start;
    for (size_t i = 0; i < batch.keys.size(); ++i) {
      Row<kDim> row{};
      std::memcpy(row.weights, weights.data() + i * kDim, sizeof(row.weights));
      c.array.row(begin + i) = row;
      c.ahead.row(begin + i) = row;
      c.map.row(batch.keys[i]) = row;
    }
  }
  const double per_row = static_cast<double>(c.table.table().bytes()) / static_cast<double>(rows);
  const int need = static_cast<int>(sizeof(Row<kDim>)) + 32;  // and key, counters
  std::printf(
      "table created at %.1f million rows/s; %.1f bytes a row where %d are needed: %.0f %% more\n",
      static_cast<double>(rows) / seconds / 1e6, per_row, need, 100 * (per_row / need - 1));
}

template <int kDim>
void CompareRows(uint64_t rows, Contestants<kDim>& c) {
  uint64_t compared = 0;
  const auto same = [](const Row<kDim>& a, const Row<kDim>& b) {
    return std::memcmp(&a, &b, sizeof(a)) == 0;
  };
  Must(c.table.table().ForEachRow(0, kPartitions, [&](const RowView& view) {
    Row<kDim> row;
    std::copy(view.weights.begin(), view.weights.end(), row.weights);
    std::copy(view.state.begin(), view.state.end(), row.state);
    const uint64_t r = RowOf(view.key);
    if (!same(row, c.array.row(r)) || !same(row, c.ahead.row(r)) ||
        !same(row, c.map.row(view.key))) {
      return Status(StatusCode::kInternal,
                    "rows of key " + std::to_string(view.key.value) + " differ");
    }
    ++compared;
    return Ok();
  }));
  if (compared != rows) Fail("the table lost rows");
  std::printf("all %llu rows are the same bits in all four\n",
              static_cast<unsigned long long>(rows));
}

template <int kDim>
void Run(uint64_t rows) {
  ThreadPool pool(1);
  Contestants<kDim> c(rows, &pool);
  Create(rows, c);

  int64_t step = 0;
  const Works lookup = {[&](Batch& batch, std::span<float> w) { c.table.Lookup(batch, w); },
                        [&](Batch& batch, std::span<float> w) { c.array.Lookup(batch, w); },
                        [&](Batch& batch, std::span<float> w) { c.ahead.Lookup(batch, w); },
                        [&](Batch& batch, std::span<float> w) { c.map.Lookup(batch, w); }};
  const Works update = {[&](Batch& batch, std::span<float>) { c.table.Update(batch, ++step); },
                        [&](Batch& batch, std::span<float>) { c.array.Update(batch); },
                        [&](Batch& batch, std::span<float>) { c.ahead.Update(batch); },
                        [&](Batch& batch, std::span<float>) { c.map.Update(batch); }};
  Rates lookups, updates;
  const size_t n = std::min<uint64_t>(kBatch, rows / 2);
  std::vector<float> weights(n * kDim);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Batch> batches;
    for (int b = 0; b < kTurn; ++b) batches.push_back(MakeBatch(round * kTurn + b, rows, kDim));
    TakeTurns(round, lookup, batches, weights, &lookups);
    TakeTurns(round, update, batches, weights, &updates);
  }
  std::printf(
      "%llu rows of dim %d with Adagrad state, batches of %zu, one thread, median of %d rounds\n",
      static_cast<unsigned long long>(rows), kDim, n, kRounds);
  std::printf(
      "M/s         table    array    ahead      map  table of array  table of ahead  table over "
      "map\n");
  PrintLine("lookups", lookups);
  PrintLine("updates", updates);
  CompareRows(rows, c);
}

}  // namespace
}  // namespace trestle

int main(int argc, char** argv) {
  const uint64_t rows = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
  const int dim = argc > 2 ? std::atoi(argv[2]) : 16;
  if (rows < 2 || rows > 0xFFFFFFFFull) trestle::Fail("rows must be in [2, 4294967295]");
  switch (dim) {
    case 8:
      trestle::Run<8>(rows);
      return 0;
    case 16:
      trestle::Run<16>(rows);
      return 0;
    case 32:
      trestle::Run<32>(rows);
      return 0;
    case 64:
      trestle::Run<64>(rows);
      return 0;
    default:
      trestle::Fail("dim must be 8, 16, 32 or 64");
  }
}
