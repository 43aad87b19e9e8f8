#include "embedding/cpu_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "base/hash.h"
#include "base/partition.h"
#include "tests/embedding/table_model.h"
#include "tests/support/sanitizers.h"

namespace trestle::embedding {
namespace {

// Random pulls (creating and reading) and pushes; small key ranges for hits, large ones for growth,
// and the two extreme keys.
void RandomOperations(const OptimizerCase& optimizer, int dim, int threads, uint64_t seed) {
  SCOPED_TRACE(testing::Message() << optimizer.name << ", dim " << dim << ", threads " << threads
                                  << ", seed " << seed);
  const TableSpec spec = Spec(dim, optimizer);
  ThreadPool pool(threads);
  CpuTable table(spec, &pool);
  Model model(spec);
  std::mt19937_64 random(seed);
  for (int64_t step = 1; step <= 12; ++step) {
    const size_t size = random() % 3 == 0 ? 5000 + random() % 2000 : random() % 200;
    const uint64_t range = random() % 2 ? 300 : 20'000;
    std::vector<Key> keys = {Key{0}, Key{~uint64_t{0}}};
    for (size_t i = 0; i < size; ++i) keys.push_back(Key{random() % range * 0x100000001ull});
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    std::shuffle(keys.begin(), keys.end(), random);

    const bool create = random() % 4 != 0;
    const Pulled p = Pull(table, keys, create ? Missing::kCreate : Missing::kRead);
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
    Push(table, keys, p.handles, step);
    for (const Key key : keys) model.Push(key, step);
  }
  ExpectSame(table, model);
}

TEST(CpuTable, AgreesWithAMapUnderRandomOperations) {
  uint64_t seed = 1;
  for (const OptimizerCase& optimizer : kOptimizers) {
    for (const int dim : {1, 8, 13, 16, 40}) {
      if (kSanitized && dim > 8) break;
      RandomOperations(optimizer, dim, 1, ++seed);
      RandomOperations(optimizer, dim, 3, ++seed);
    }
  }
}

// All keys trained for two steps, created in the order given, `at_once` a call.
uint64_t TrainedDigest(EmbeddingTable& table, const std::vector<Key>& keys, size_t at_once) {
  for (int64_t step = 1; step <= 2; ++step) {
    for (size_t begin = 0; begin < keys.size(); begin += at_once) {
      const std::vector<Key> part(keys.begin() + begin,
                                  keys.begin() + std::min(keys.size(), begin + at_once));
      Push(table, part, Pull(table, part).handles, step);
    }
  }
  return table.Digest();
}

TEST(CpuTable, DigestIsTheSameForAnyOrderThreadsAndShards) {
  for (const OptimizerCase& optimizer : kOptimizers) {
    const TableSpec spec = Spec(6, optimizer);
    ThreadPool one(1), three(3);
    std::vector<Key> keys = Keys(0, 9000);
    CpuTable table(spec, &one);
    const uint64_t digest = TrainedDigest(table, keys, 9000);

    std::mt19937_64 random(5);
    std::shuffle(keys.begin(), keys.end(), random);
    CpuTable shuffled(spec, &one), threaded(spec, &three);
    EXPECT_EQ(TrainedDigest(shuffled, keys, 700), digest);
    EXPECT_EQ(TrainedDigest(threaded, keys, 5000), digest);

    for (const int servers : {2, 5}) {
      uint64_t sum = 0;
      for (int s = 0; s < servers; ++s) {
        std::vector<Key> shard;
        for (const Key key : keys) {
          if (ShardOf(PartitionOf(key), servers) == s) shard.push_back(key);
        }
        CpuTable part(spec, &three);
        sum += TrainedDigest(part, shard, 4096);
      }
      EXPECT_EQ(sum, digest) << servers << " servers";
    }
  }
}

TEST(CpuTable, DigestSeesEveryPartOfARow) {
  ThreadPool pool(1);
  const std::vector<float> weights = {1, 2}, state = {3, 4}, other = {1, 2.5f};
  const auto digest = [&](const RowView& row) {
    CpuTable table(Spec(2), &pool);
    EXPECT_TRUE(table.Insert(row).ok());
    return table.Digest();
  };
  const RowView row{Key{5}, weights, state, 6, 7, 8};
  const uint64_t original = digest(row);
  EXPECT_EQ(digest(row), original);
  EXPECT_NE(digest({Key{4}, weights, state, 6, 7, 8}), original);
  EXPECT_NE(digest({Key{5}, other, state, 6, 7, 8}), original);
  EXPECT_NE(digest({Key{5}, weights, other, 6, 7, 8}), original);
  EXPECT_NE(digest({Key{5}, state, weights, 6, 7, 8}), original);
  EXPECT_NE(digest({Key{5}, weights, state, 7, 6, 8}), original);
  EXPECT_NE(digest({Key{5}, weights, state, 6, 7, 9}), original);
}

TEST(CpuTable, RowsGetTheSameHandlesWithAnyNumberOfThreads) {
  ThreadPool one(1), three(3);
  CpuTable a(Spec(4), &one), b(Spec(4), &three);
  const std::vector<Key> keys = Keys(100, 20'100);
  const Pulled p = Pull(a, keys), q = Pull(b, keys);
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(p.handles[i].segment, q.handles[i].segment);
    ASSERT_EQ(p.handles[i].row, q.handles[i].row);
  }
}

TEST(CpuTable, HandlesStayGoodWhileTheTableGrows) {
  ThreadPool pool(1);
  const TableSpec spec = Spec(8);
  CpuTable table(spec, &pool);
  Model model(spec);
  const std::vector<Key> keys = Keys(0, 100);
  const Pulled early = Pull(table, keys);
  for (uint64_t begin = 100; begin < 200'000; begin += 50'000) {
    Pull(table, Keys(begin, begin + 50'000));
    for (uint64_t k = begin; k < begin + 50'000; ++k) model.Row(Key{k});
  }
  Push(table, keys, early.handles, 1);
  for (const Key key : keys) model.Push(key, 1);
  ExpectSame(table, model);
}

TEST(CpuTable, ReadingCreatesNothing) {
  ThreadPool pool(1);
  CpuTable table(Spec(8), &pool);
  const Pulled created = Pull(table, Keys(0, 10));
  const int64_t bytes = table.bytes();
  const Pulled read = Pull(table, Keys(5, 15), Missing::kRead);
  EXPECT_EQ(read.missing, 5);
  EXPECT_EQ(table.rows(), 10);
  EXPECT_EQ(table.bytes(), bytes);
  for (size_t i = 0; i < 5; ++i) EXPECT_FALSE(read.handles[i].absent());
  for (size_t i = 5; i < 10; ++i) EXPECT_TRUE(read.handles[i].absent());
  EXPECT_TRUE(
      std::equal(read.weights.begin(), read.weights.begin() + 40, created.weights.begin() + 40));
  EXPECT_TRUE(std::all_of(read.weights.begin() + 40, read.weights.end(),
                          [](float w) { return w == 0.0f; }));
}

TEST(CpuTable, UnseenInitReadsWhatTheRowWouldStartWith) {
  ThreadPool pool(1);
  CpuTable table(Spec(13, kOptimizers[0], INIT), &pool);
  const std::vector<Key> keys = Keys(1, 50);
  const Pulled read = Pull(table, keys, Missing::kRead);
  EXPECT_EQ(table.rows(), 0);
  EXPECT_EQ(read.missing, 49);
  EXPECT_EQ(read.weights, Pull(table, keys).weights);
}

TEST(CpuTable, VisitsRowsByPartitionAndMixedKey) {
  ThreadPool pool(1);
  CpuTable table(Spec(1), &pool);
  std::vector<Key> keys = Keys(0, 5000);
  Pull(table, keys);
  const auto visited = [&](uint32_t begin, uint32_t end) {
    std::vector<Key> seen;
    const Status status = table.ForEachRow(begin, end, [&](const RowView& row) {
      seen.push_back(row.key);
      return Ok();
    });
    EXPECT_TRUE(status.ok());
    return seen;
  };
  std::sort(keys.begin(), keys.end(), [](Key a, Key b) {
    return std::pair(PartitionOf(a), Mix64(a.value)) < std::pair(PartitionOf(b), Mix64(b.value));
  });
  EXPECT_EQ(visited(0, kPartitions), keys);

  std::vector<Key> pieces;
  for (uint32_t begin = 0; begin < kPartitions; begin += 10'000) {
    const uint32_t end = std::min(begin + 10'000, kPartitions);
    for (const Key key : visited(begin, end)) {
      EXPECT_GE(PartitionOf(key), begin);
      EXPECT_LT(PartitionOf(key), end);
      pieces.push_back(key);
    }
  }
  EXPECT_EQ(pieces, keys);
  EXPECT_TRUE(visited(7, 7).empty());
}

TEST(CpuTable, VisitEndsAtTheVisitorsError) {
  ThreadPool pool(1);
  CpuTable table(Spec(1), &pool);
  Pull(table, Keys(0, 100));
  int visits = 0;
  const Status status = table.ForEachRow(0, kPartitions, [&](const RowView&) {
    return ++visits == 3 ? Status(StatusCode::kIoError, "disk full") : Ok();
  });
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_EQ(visits, 3);
}

TEST(CpuTable, InsertedRowsAreTheRowsVisited) {
  ThreadPool pool(1);
  for (const OptimizerCase& optimizer : kOptimizers) {
    CpuTable table(Spec(5, optimizer), &pool), copy(Spec(5, optimizer), &pool);
    const uint64_t digest = TrainedDigest(table, Keys(0, 3000), 1000);
    const Status status =
        table.ForEachRow(0, kPartitions, [&](const RowView& row) { return copy.Insert(row); });
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(copy.rows(), 3000);
    EXPECT_EQ(copy.Digest(), digest);
  }
}

TEST(CpuTable, InsertRefusesARowThatIsThereOrOfAnotherWidth) {
  ThreadPool pool(1);
  CpuTable table(Spec(2), &pool);
  const std::vector<float> two = {1, 2}, three = {1, 2, 3};
  ASSERT_TRUE(table.Insert({Key{1}, two, two, 0, 0, 0}).ok());
  const Status twice = table.Insert({Key{1}, two, two, 0, 0, 0});
  EXPECT_EQ(twice.code(), StatusCode::kCorrupt);
  EXPECT_EQ(twice.root_message(), "table items: key 1 is there twice");
  EXPECT_EQ(table.Insert({Key{2}, three, two, 0, 0, 0}).code(), StatusCode::kCorrupt);
  EXPECT_EQ(table.Insert({Key{2}, two, three, 0, 0, 0}).code(), StatusCode::kCorrupt);
  EXPECT_EQ(table.rows(), 1);
}

TEST(CpuTable, RunningOutOfMemoryNamesTableRowsAndBytesAndKeepsRows) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    const TableSpec spec = Spec(8);
    CpuTable table(spec, &pool, 4 << 20);
    const std::vector<Key> few = Keys(0, 1000), many = Keys(1000, 101'000);
    const Pulled before = Pull(table, few);
    std::vector<float> weights(many.size() * 8);
    std::vector<RowHandle> handles(many.size());
    const Status status = table.Pull(many, Missing::kCreate, weights, handles).status();
    EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
    const std::string text = status.ToString();
    EXPECT_NE(text.find("table items"), std::string::npos) << text;
    EXPECT_NE(text.find(std::to_string(table.rows()) + " rows"), std::string::npos) << text;
    EXPECT_NE(text.find(std::to_string(table.bytes()) + " bytes"), std::string::npos) << text;
    EXPECT_NE(text.find("limit"), std::string::npos) << text;
    EXPECT_EQ(Pull(table, few).weights, before.weights);

    // What is there is good, and what was not created is simply absent.
    Model model(spec);
    const Status visit = table.ForEachRow(0, kPartitions, [&](const RowView& row) {
      model.Row(row.key);
      return Ok();
    });
    EXPECT_TRUE(visit.ok());
    ExpectSame(table, model);
    EXPECT_EQ(Pull(table, many, Missing::kRead).missing, 101'000 - table.rows());
  }
}

TEST(CpuTable, SmallTablesAreSmall) {
  ThreadPool pool(1);
  CpuTable table(Spec(16), &pool);
  EXPECT_LT(table.bytes(), 20'000);
  Pull(table, Keys(0, 10));
  EXPECT_LT(table.bytes(), 32'000);
}

TEST(CpuTable, MemoryIsWhatRowsNeedPlusAtMostThirtyPercent) {
  if (kSanitized) GTEST_SKIP() << "the release build counts the same bytes";
  ThreadPool pool(1);
  for (const int dim : {8, 16, 64}) {
    // The others' rows are as wide as those of one of these.
    for (const OptimizerCase& optimizer : std::span(kOptimizers).first(4)) {
      CpuTable table(Spec(dim, optimizer), &pool);
      const int need = 8 + 24 + 4 * (dim + table.state_width());  // key, counters, floats
      const uint64_t rows = need == 64 ? 1'300'000 : 300'000;  // the smallest rows are the hardest
      for (uint64_t begin = 0; begin < rows; begin += 10'000) {
        Pull(table, Keys(begin, begin + 10'000));
        if (begin < 50'000) continue;
        const double per_row =
            static_cast<double>(table.bytes()) / static_cast<double>(table.rows());
        ASSERT_LE(per_row, 1.3 * need) << optimizer.name << ", dim " << dim << ", " << table.rows();
      }
    }
  }
}

TEST(CpuTable, EmptyCallsAreFine) {
  ThreadPool pool(2);
  CpuTable table(Spec(3), &pool);
  EXPECT_EQ(Pull(table, {}).missing, 0);
  Push(table, {}, {}, 1);
  EXPECT_EQ(table.Digest(), 0u);
}

TEST(CpuTable, MakeCpuTableMakesAWorkingTable) {
  ThreadPool pool(1);
  auto table = MakeCpuTable(Spec(4), &pool);
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(Pull(**table, Keys(0, 3)).missing, 3);
  EXPECT_EQ((*table)->state_width(), 4);
}

TEST(CpuTableDeathTest, PushToAnAbsentRowIsABug) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  ThreadPool pool(1);
  CpuTable table(Spec(1), &pool);
  const std::vector<RowHandle> absent(1);
  EXPECT_DEATH(Push(table, Keys(0, 1), absent, 1), "not there");
}

}  // namespace
}  // namespace trestle::embedding
