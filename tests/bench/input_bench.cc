// How fast rows reach the lanes: a Parquet file like the Taobao ads data (15 ids, two lists of 30
// items on average, a number, a label), read in SHUFFLE order into 16 lanes of 256 rows by one
// thread.
#include <benchmark/benchmark.h>
#include <glog/logging.h>

#include <random>

#include "tests/support/parquet_files.h"
#include "tests/support/temp_dir.h"
#include "worker/input.h"
#include "worker/plan.h"

namespace trestle {
namespace {

constexpr int kIds = 15;
constexpr int64_t kRows = 200'000;

Schema TaobaoSchema() {
  Features features;
  auto* id = features.add_id();
  for (int i = 0; i < kIds; ++i) id->add_columns("id" + std::to_string(i));
  auto* sequence = features.add_sequence();
  for (const char* name : {"hist_cate", "hist_brand"}) sequence->add_columns(name);
  sequence->add_like("id0");
  sequence->add_like("id1");
  features.add_numeric()->add_columns("price");
  Data data;
  data.set_label("clk");
  data.set_group("id2");
  return MakeSchema(data, features).value();
}

std::vector<std::vector<int64_t>> Histories(std::mt19937_64& random, int64_t items) {
  std::mt19937 lengths(1);  // equal for both columns
  std::vector<std::vector<int64_t>> lists(kRows);
  for (auto& list : lists) {
    list.resize(lengths() % 61);
    for (int64_t& item : list) item = static_cast<int64_t>(random() % static_cast<uint64_t>(items));
  }
  return lists;
}

std::string WriteTaobao(const TempDir& dir, int64_t group_rows) {
  std::mt19937_64 random(1);
  std::vector<int64_t> labels(kRows), ids(kRows);
  std::vector<double> prices(kRows);
  for (int64_t& label : labels) label = random() % 20 == 0;
  for (double& price : prices) price = static_cast<double>(random() % 10'000) / 7;
  std::vector<FileColumn> columns = {{"clk", Int64s(labels)}, {"price", Doubles(prices)}};
  for (int i = 0; i < kIds; ++i) {
    const uint64_t distinct = uint64_t{1} << (4 + i);
    for (int64_t& id : ids) id = static_cast<int64_t>(random() % distinct);
    columns.push_back({"id" + std::to_string(i), Int64s(ids)});
  }
  columns.push_back({"hist_cate", Int64Lists(Histories(random, 10'000))});
  columns.push_back({"hist_brand", Int64Lists(Histories(random, 200'000))});
  const std::string path = dir.Join("taobao.parquet");
  WriteParquet(path, columns, group_rows);
  return path;
}

void ReadEpoch(benchmark::State& state) {
  const TempDir dir;
  const Schema schema = TaobaoSchema();
  const std::string path = WriteTaobao(dir, state.range(0));
  const auto dataset =
      OpenDataset(schema, {{path}, std::vector<uint64_t>(schema.tables.size())}).value();
  PlanOptions plan;
  for (auto _ : state) {
    auto reader = OpenLanes(*dataset, plan, FileSystem::Local()).value();
    int64_t rows = 0;
    while (true) {
      auto step = reader->Next();
      CHECK(step.ok()) << step.status().ToString();
      if (!step->has_value()) break;
      for (const LaneRows& lane : **step) rows += lane.rows;
    }
    CHECK_EQ(rows, kRows);
    ++plan.epoch;
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.counters["per_row"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kRows),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(ReadEpoch)->Arg(4096)->Arg(16384)->Arg(65536)->Unit(benchmark::kMillisecond);

void DecodeOnly(benchmark::State& state) {
  const TempDir dir;
  const Schema schema = TaobaoSchema();
  const std::string path = WriteTaobao(dir, state.range(0));
  const auto dataset =
      OpenDataset(schema, {{path}, std::vector<uint64_t>(schema.tables.size())}).value();
  const std::vector<NumericStatistics> statistics(1);
  for (auto _ : state) {
    for (int64_t b = 0; b < dataset->blocks(); ++b) {
      benchmark::DoNotOptimize(dataset->ReadBlock(b, statistics, {}).value());
    }
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.counters["per_row"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kRows),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(DecodeOnly)->Arg(4096)->Arg(65536)->Unit(benchmark::kMillisecond);

void PermuteRows(benchmark::State& state) {
  uint64_t stream = 0;
  for (auto _ : state) benchmark::DoNotOptimize(Permutation(65'536, 1, ++stream));
  state.SetItemsProcessed(state.iterations() * 65'536);
}
BENCHMARK(PermuteRows);

}  // namespace
}  // namespace trestle

BENCHMARK_MAIN();
