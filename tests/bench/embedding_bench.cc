// Lookups and updates a second of the table in host memory, against what bounds them from both sides:
//   array    a plain array of the same rows (weights and Adagrad state) on huge pages, reached by row
//            number in the same random order: no keys, no index, no counters
//   ahead    the same array with rows prefetched 16 ahead: what the memory gives at best
//   map      std::unordered_map<uint64_t, row>, rows in its nodes, found by key for lookup and for update
// One thread. A batch is 65,536 distinct random keys. First each batch is looked up by all in turn, then
// each is updated by all in turn (so rows are out of the caches again; `ahead` takes the batch behind, whose
// rows no other contestant has just brought in). The order rotates. Time is the thread's CPU time, so that
// a machine shared with others disturbs less; printed are medians over batches. Weights looked up are
// compared in each batch, all rows at the end: if a bit differs the exit status is 1.
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
#include "base/philox.h"
#include "embedding/table.h"

namespace trestle {
namespace {

constexpr size_t kBatch = 65'536;
constexpr int kBatches = 21;
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
    Must(table_->Push(batch.handles, batch.gradients, batch.counts, step));
  }
  EmbeddingTable& table() { return *table_; }

 private:
  std::unique_ptr<EmbeddingTable> table_;
};

template <int kDim>
class PlainArray {
 public:
  // Without prefetching the array does 40 % fewer lookups and would be no yardstick.
  static constexpr size_t kAhead = 16;

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
      const Row<kDim>& ahead = rows_[batch.rows[std::min(i + kAhead, n - 1)]];
      for (int d = 0; d < kDim; d += 16) __builtin_prefetch(ahead.weights + d);
      std::memcpy(weights.data() + i * kDim, rows_[batch.rows[i]].weights, kDim * sizeof(float));
    }
  }
  void Update(const Batch& batch) {
    const size_t n = batch.rows.size();
    for (size_t i = 0; i < n; ++i) {
      Row<kDim>& ahead = rows_[batch.rows[std::min(i + kAhead, n - 1)]];
      for (int d = 0; d < kDim; d += 16) __builtin_prefetch(ahead.weights + d, 1);
      for (int d = 0; d < kDim; d += 16) __builtin_prefetch(ahead.state + d, 1);
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

// Millions a second, by batch, of table, array, map.
using Rates = std::array<std::vector<double>, 3>;

// Runs the three in an order that rotates with `batch`, and notes how fast each was.
void TimeInTurn(int batch, size_t operations,
                const std::array<std::function<void()>, 3>& contestants, Rates* rates) {
  for (int i = 0; i < 3; ++i) {
    const int who = (batch + i) % 3;
    const Clock::Duration start = Clock::System().Now();
    contestants[who]();
    const double seconds = Seconds(Clock::System().Now() - start);
    (*rates)[who].push_back(static_cast<double>(operations) / seconds / 1e6);
  }
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void PrintLine(const char* what, const Rates& rates) {
  const double table = Median(rates[0]), array = Median(rates[1]), map = Median(rates[2]);
  std::printf("%-8s %9.1f %9.1f %9.1f %14.0f %% %12.1f x\n", what, table, array, map,
              100 * table / array, table / map);
}

// Creates all rows in the table, and copies them to the other two.
template <int kDim>
void Create(uint64_t rows, TrestleTable& table, PlainArray<kDim>& array, StdMap<kDim>& map) {
  const Clock::Duration start = Clock::System().Now();
  double seconds = 0;
  std::vector<float> weights;
  for (uint64_t begin = 0; begin < rows; begin += kBatch) {
    Batch batch;
    for (uint64_t r = begin; r < std::min(rows, begin + kBatch); ++r)
      batch.keys.push_back(KeyOf(r));
    batch.handles.resize(batch.keys.size());
    weights.resize(batch.keys.size() * kDim);
    const Clock::Duration batch_start = Clock::System().Now();
    table.Lookup(batch, weights);
    seconds += Seconds(Clock::System().Now() - batch_start);
    for (size_t i = 0; i < batch.keys.size(); ++i) {
      Row<kDim>& row = array.row(begin + i);
      std::memcpy(row.weights, weights.data() + i * kDim, sizeof(row.weights));
      std::memset(row.state, 0, sizeof(row.state));
      map.row(batch.keys[i]) = row;
    }
  }
  const double per_row = static_cast<double>(table.table().bytes()) / static_cast<double>(rows);
  const int need = static_cast<int>(sizeof(Row<kDim>)) + 32;  // and key, counters
  std::printf(
      "created at %.1f million rows/s; %.1f bytes a row, %d needed: %.0f %% more "
      "(all three in %.0f s)\n",
      static_cast<double>(rows) / seconds / 1e6, per_row, need, 100 * (per_row / need - 1),
      Seconds(Clock::System().Now() - start));
}

template <int kDim>
void CompareRows(uint64_t rows, TrestleTable& table, PlainArray<kDim>& array, StdMap<kDim>& map) {
  uint64_t compared = 0;
  Must(table.table().ForEachRow(0, 65'536, [&](const RowView& view) {
    const Row<kDim>& a = array.row(RowOf(view.key));
    const Row<kDim>& m = map.row(view.key);
    if (std::memcmp(view.weights.data(), a.weights, sizeof(a.weights)) != 0 ||
        std::memcmp(view.state.data(), a.state, sizeof(a.state)) != 0 ||
        std::memcmp(&a, &m, sizeof(a)) != 0) {
      return Status(StatusCode::kInternal,
                    "rows of key " + std::to_string(view.key.value) + " differ");
    }
    ++compared;
    return Ok();
  }));
  if (compared != rows) Fail("the table lost rows");
  std::printf("all %llu rows are the same bits in all three\n",
              static_cast<unsigned long long>(rows));
}

template <int kDim>
void Run(uint64_t rows) {
  ThreadPool pool(1);
  TrestleTable table(kDim, &pool);
  PlainArray<kDim> array(rows);
  StdMap<kDim> map(rows);
  Create(rows, table, array, map);

  std::vector<Batch> batches;
  for (int b = 0; b < kBatches; ++b) batches.push_back(MakeBatch(b, rows, kDim));
  const size_t n = batches[0].rows.size();
  std::array<std::vector<float>, 3> weights;
  for (auto& w : weights) w.resize(n * kDim);

  Rates lookups, updates;
  for (int b = 0; b < kBatches; ++b) {
    TimeInTurn(b, n,
               {[&] { table.Lookup(batches[b], weights[0]); },
                [&] { array.Lookup(batches[b], weights[1]); },
                [&] { map.Lookup(batches[b], weights[2]); }},
               &lookups);
    if (weights[0] != weights[1] || weights[0] != weights[2]) Fail("lookups differ");
  }
  for (int b = 0; b < kBatches; ++b) {
    TimeInTurn(b, n,
               {[&] { table.Update(batches[b], b + 1); }, [&] { array.Update(batches[b]); },
                [&] { map.Update(batches[b]); }},
               &updates);
  }
  std::printf("%llu rows of dim %d with Adagrad state, batches of %zu, one thread, median of %d\n",
              static_cast<unsigned long long>(rows), kDim, n, kBatches);
  std::printf("M/s          table     array       map   table of array   table over map\n");
  PrintLine("lookups", lookups);
  PrintLine("updates", updates);
  CompareRows(rows, table, array, map);
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
