// The table in GPU memory against the map and the CPU's table. Everything runs twice: on the host,
// with FakeGpu and HostKernels; and on a GPU, skipped where there is none.
#include "cuda/gpu_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/find_gpu.h"
#include "base/partition.h"
#include "embedding/cpu_table.h"
#include "tests/embedding/table_model.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/host_kernels.h"
#include "tests/support/sanitizers.h"

namespace trestle::cuda {
namespace {

using embedding::ExpectSame;
using embedding::Keys;
using embedding::kOptimizers;
using embedding::Missing;
using embedding::Model;
using embedding::OptimizerCase;
using embedding::Pull;
using embedding::Pulled;
using embedding::Push;
using embedding::Spec;
using testing::HasSubstr;

constexpr int64_t kSmallBlocks = 4096;  // so that small tables have many

// Why there is no GPU; empty where there is one, in *parts.
std::string FindParts(CudaParts** parts) {
  const auto loaded = LoadGpuPlugin(std::string(TRESTLE_BINARY_DIR) + "/lib");
  if (!loaded.ok()) return loaded.status().ToString();
  const auto found = FindGpu((*loaded)->runtime(), 0);
  if (!found.ok()) return found.status().ToString();
  *parts = static_cast<CudaParts*>(*loaded);  // of this build, which the core compared
  return "";
}

enum class On { kHost, kGpu };

class GpuTableTest : public testing::TestWithParam<On> {
 protected:
  void SetUp() override {
    place_ = {&fake_, &host_, {}, kSmallBlocks};
    if (GetParam() == On::kHost) return;
    CudaParts* parts = nullptr;
    const std::string why = FindParts(&parts);
    if (!why.empty()) GTEST_SKIP() << why;
    place_ = {&parts->runtime(), &parts->table_kernels(), *parts->runtime().MakeStream(),
              kSmallBlocks};
  }

  std::unique_ptr<EmbeddingTable> Make(const TableSpec& spec) {
    auto table = GpuTable::Make(spec, place_);
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    return *std::move(table);
  }

  FakeGpu fake_;
  HostKernels host_;
  GpuTable::Place place_{};
};

// Random pulls (creating and reading) and pushes, with the two extreme keys and the one whose mixed
// bits are those of a free slot.
TEST_P(GpuTableTest, AgreesWithAMapUnderRandomOperations) {
  uint64_t seed = 7;
  for (const OptimizerCase& optimizer : kOptimizers) {
    for (const int dim : {1, 8, 13}) {
      SCOPED_TRACE(testing::Message() << optimizer.name << ", dim " << dim << ", seed " << ++seed);
      const TableSpec spec = Spec(dim, optimizer);
      const auto table = Make(spec);
      Model model(spec);
      std::mt19937_64 random(seed);
      for (int64_t step = 1; step <= (kSanitized ? 4 : 8); ++step) {
        const size_t size = random() % 3 == 0 ? 2500 : random() % 200;
        std::vector<Key> keys = {Key{0}, Key{~uint64_t{0}}, Key{Unmix64(kFreeSlot)}};
        for (size_t i = 0; i < size; ++i) {
          keys.push_back(Key{random() % (random() % 2 ? 300 : 20'000) * 0x100000001ull});
        }
        std::sort(keys.begin(), keys.end());
        keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
        std::shuffle(keys.begin(), keys.end(), random);

        const bool create = random() % 4 != 0;
        const Pulled p = Pull(*table, keys, create ? Missing::kCreate : Missing::kRead);
        int64_t missing = 0;
        for (size_t i = 0; i < keys.size(); ++i) {
          const bool absent = !model.rows.contains(keys[i].value);
          missing += absent;
          const std::vector<float> expected =
              absent && !create ? std::vector<float>(dim, 0.0f) : model.Row(keys[i]).weights;
          ASSERT_TRUE(std::equal(expected.begin(), expected.end(), p.weights.begin() + i * dim))
              << "key " << keys[i].value;
          ASSERT_EQ(p.handles[i].absent(), absent && !create);
        }
        ASSERT_EQ(p.missing, missing);
        if (!create) continue;
        Push(*table, keys, p.handles, step);
        for (const Key key : keys) model.Push(key, step);
      }
      ExpectSame(*table, model);
    }
  }
}

TEST_P(GpuTableTest, DigestIsTheCpuTables) {
  for (const OptimizerCase& optimizer : kOptimizers) {
    const TableSpec spec = Spec(6, optimizer);
    const auto table = Make(spec);
    ThreadPool pool(1);
    embedding::CpuTable cpu(spec, &pool);
    const std::vector<Key> keys = Keys(0, 3000);
    for (EmbeddingTable* one : {table.get(), static_cast<EmbeddingTable*>(&cpu)}) {
      for (int64_t step = 1; step <= 2; ++step) Push(*one, keys, Pull(*one, keys).handles, step);
    }
    EXPECT_EQ(table->Digest(), cpu.Digest()) << optimizer.name;
  }
}

TEST_P(GpuTableTest, HandlesStayGoodWhileTheTableGrows) {
  const TableSpec spec = Spec(8);
  const auto table = Make(spec);
  Model model(spec);
  const std::vector<Key> keys = Keys(0, 100);
  const Pulled early = Pull(*table, keys);
  for (uint64_t begin = 100; begin < 20'000; begin += 5'000) {
    Pull(*table, Keys(begin, begin + 5'000));
    for (uint64_t k = begin; k < begin + 5'000; ++k) model.Row(Key{k});
  }
  Push(*table, keys, early.handles, 1);
  for (const Key key : keys) model.Push(key, 1);
  ExpectSame(*table, model);
}

TEST_P(GpuTableTest, NewRowsAreNumberedInTheOrderOfTheCall) {
  const auto table = Make(Spec(4));
  Pull(*table, Keys(50, 60));
  const Pulled p = Pull(*table, Keys(0, 100));
  for (uint32_t i = 0; i < 50; ++i) EXPECT_EQ(p.handles[i].row, 10 + i);
  for (uint32_t i = 50; i < 60; ++i) EXPECT_EQ(p.handles[i].row, i - 50);
  for (uint32_t i = 60; i < 100; ++i) EXPECT_EQ(p.handles[i].row, i);
}

TEST_P(GpuTableTest, ReadingCreatesNothingAndUnseenInitReadsWhatARowWouldStartWith) {
  const auto table = Make(Spec(13, kOptimizers[0], INIT));
  const std::vector<Key> keys = Keys(1, 50);
  const Pulled read = Pull(*table, keys, Missing::kRead);
  EXPECT_EQ(table->rows(), 0);
  EXPECT_EQ(read.missing, 49);
  EXPECT_EQ(read.weights, Pull(*table, keys).weights);
}

TEST_P(GpuTableTest, InsertedRowsAreTheRowsVisited) {
  const auto table = Make(Spec(5)), copy = Make(Spec(5));
  const std::vector<Key> keys = Keys(0, 300);
  Push(*table, keys, Pull(*table, keys).handles, 1);
  const Status status =
      table->ForEachRow(0, kPartitions, [&](const RowView& row) { return copy->Insert(row); });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(copy->rows(), 300);
  EXPECT_EQ(copy->Digest(), table->Digest());
}

TEST_P(GpuTableTest, InsertRefusesARowThatIsThereOrTwiceOrOfAnotherWidth) {
  const auto table = Make(Spec(2));
  const std::vector<float> two = {1, 2}, three = {1, 2, 3};
  ASSERT_TRUE(table->Insert({Key{1}, two, two, 0, 0, 0}).ok());
  EXPECT_EQ(table->Insert({Key{1}, two, two, 0, 0, 0}).root_message(),
            "table items: key 1 is there twice");
  const std::vector<RowView> same = {{Key{3}, two, two, 0, 0, 0}, {Key{3}, two, two, 0, 0, 0}};
  EXPECT_EQ(table->Insert(same).root_message(), "table items: key 3 is there twice");
  EXPECT_EQ(table->Insert({Key{2}, three, two, 0, 0, 0}).code(), StatusCode::kCorrupt);
  EXPECT_EQ(table->Insert({Key{2}, two, three, 0, 0, 0}).code(), StatusCode::kCorrupt);
  EXPECT_EQ(table->rows(), 1);
}

TEST_P(GpuTableTest, VisitsRowsByPartitionAndMixedKey) {
  const auto table = Make(Spec(1));
  std::vector<Key> keys = Keys(0, 3000), seen;
  Pull(*table, keys);
  for (uint32_t begin = 0; begin < kPartitions; begin += 20'000) {
    const Status status =
        table->ForEachRow(begin, std::min(begin + 20'000, kPartitions), [&](const RowView& row) {
          seen.push_back(row.key);
          return Ok();
        });
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  std::sort(keys.begin(), keys.end(), [](Key a, Key b) { return Mix64(a.value) < Mix64(b.value); });
  EXPECT_EQ(seen, keys);
}

TEST_P(GpuTableTest, EmptyCallsAreFine) {
  const auto table = Make(Spec(3));
  EXPECT_EQ(Pull(*table, {}).missing, 0);
  Push(*table, {}, {}, 1);
  EXPECT_TRUE(table->Insert(std::span<const RowView>()).ok());
  EXPECT_EQ(table->Digest(), 0u);
}

TEST_P(GpuTableTest, SnapshotsAreRefused) {
  const auto table = Make(Spec(3));
  EXPECT_EQ(table->Snapshot(nullptr).status().root_message(),
            "table items: tables in GPU memory have no snapshots yet");
}

INSTANTIATE_TEST_SUITE_P(, GpuTableTest, testing::Values(On::kHost, On::kGpu),
                         [](const auto& on) { return on.param == On::kHost ? "Host" : "Gpu"; });

TEST(GpuTable, RunningOutOfMemoryNamesTableRowsAndBytesAndKeepsRows) {
  // Wherever in a call memory ends: nothing is lost, nothing half made.
  for (int64_t room = 0; room < 400'000; room += 9'999) {
    FakeGpu gpu;
    HostKernels kernels;
    const TableSpec spec = Spec(8);
    const auto table = GpuTable::Make(spec, {&gpu, &kernels, {}, kSmallBlocks});
    ASSERT_TRUE(table.ok());
    const std::vector<Key> few = Keys(0, 600), many = Keys(600, 3'600);
    const Pulled before = Pull(**table, few);
    gpu.limit_bytes = gpu.used_bytes() + room;
    std::vector<float> weights(many.size() * 8);
    std::vector<RowHandle> handles(many.size());
    const Status status = (*table)->Pull(many, Missing::kCreate, weights, handles).status();
    ASSERT_EQ(status.code(), StatusCode::kOutOfMemory) << room;
    EXPECT_THAT(status.ToString(), HasSubstr("table items: no GPU memory; it holds 600 rows in "));
    EXPECT_THAT(status.ToString(), HasSubstr(" bytes; use more GPUs, a smaller dim or an optimizer "
                                             "with less state: CUDA: taking "));
    gpu.limit_bytes = int64_t{1} << 40;
    EXPECT_EQ((*table)->rows(), 600);
    EXPECT_EQ(Pull(**table, few).weights, before.weights);
    EXPECT_EQ(Pull(**table, many).missing, 3'000);
    Model model(spec);
    for (const Key key : Keys(0, 3'600)) model.Row(key);
    ExpectSame(**table, model);
  }
}

TEST(GpuTable, AFailedCopyOrLaunchIsAnErrorAndAllMemoryIsGivenBack) {
  FakeGpu gpu;
  HostKernels kernels;
  {
    const auto table = GpuTable::Make(Spec(8), {&gpu, &kernels, {}, kSmallBlocks});
    ASSERT_TRUE(table.ok());
    Pull(**table, Keys(0, 100));
    std::vector<float> weights(8);
    std::vector<RowHandle> handles(1);
    for (const char* operation : {"copying", "waiting"}) {
      gpu.failing = operation;
      const auto pulled = (*table)->Pull(Keys(1, 2), Missing::kRead, weights, handles);
      EXPECT_EQ(pulled.status().code(), StatusCode::kInternal);
      EXPECT_THAT(pulled.status().ToString(), HasSubstr(operation));
    }
    gpu.failing = "";
    EXPECT_EQ((*table)->bytes(), gpu.used_bytes());
  }
  EXPECT_EQ(gpu.live(), 0);
}

TEST(GpuTable, GrowsInTime) {
  FakeGpu gpu;
  HostKernels kernels;
  const auto table = GpuTable::Make(Spec(1), {&gpu, &kernels, {}});
  ASSERT_TRUE(table.ok());
  (*table)->Reserve(100'000);
  const int64_t reserved = (*table)->bytes();
  Pull(**table, Keys(0, 100'000));
  EXPECT_LT((*table)->bytes() - reserved, 100'000 * 40) << "only what a call stages";
}

TEST(GpuTableDeathTest, PushToAnAbsentRowIsABug) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  FakeGpu gpu;
  HostKernels kernels(1);
  const auto table = GpuTable::Make(Spec(1), {&gpu, &kernels, {}});
  const std::vector<RowHandle> absent(1);
  EXPECT_DEATH(Push(**table, Keys(0, 1), absent, 1), "not there");
}

}  // namespace
}  // namespace trestle::cuda
