// Snapshots of a table that goes on training, against a copy of a model taken at the mark.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/partition.h"
#include "embedding/cpu_table.h"
#include "tests/embedding/table_model.h"
#include "tests/support/sanitizers.h"

namespace trestle::embedding {
namespace {

constexpr int64_t kPlenty = int64_t{1} << 30;

std::unique_ptr<TableSnapshot> Mark(EmbeddingTable& table,
                                    const std::shared_ptr<SnapshotMemory>& memory) {
  auto snapshot = table.Snapshot(memory);
  EXPECT_TRUE(snapshot.ok()) << snapshot.status().ToString();
  return std::move(*snapshot);
}

// A table and its model, trained alike by random pulls and pushes.
class Trained {
 public:
  Trained(const TableSpec& spec, ThreadPool* pool, uint64_t seed)
      : table(spec, pool), model(spec), random_(seed) {}

  void Step() {
    const size_t size = random_() % 8 == 0 ? 5000 + random_() % 2000 : random_() % 300;
    const uint64_t range = random_() % 2 ? 300 : 20'000;
    std::vector<Key> keys = {Key{0}, Key{~uint64_t{0}}};
    for (size_t i = 0; i < size; ++i) keys.push_back(Key{random_() % range * 0x100000001ull});
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    std::shuffle(keys.begin(), keys.end(), random_);
    if (random_() % 8 == 0) Pull(table, keys, Missing::kRead);
    Train(keys);
  }
  void Train(const std::vector<Key>& keys) {
    Push(table, keys, Pull(table, keys).handles, ++step_);
    for (const Key key : keys) model.Push(key, step_);
  }

  CpuTable table;
  Model model;

 private:
  std::mt19937_64 random_;
  int64_t step_ = 0;
};

// Reads a snapshot in chunks of partitions, in random order, and compares it with the model's rows.
class Reader {
 public:
  Reader(TableSnapshot* snapshot, const Model& model, uint64_t seed)
      : snapshot_(snapshot), rows_(model.rows) {
    std::mt19937_64 random(seed);
    std::vector<uint32_t> bounds = {0, kPartitions};
    for (int i = 0; i < 12; ++i) bounds.push_back(random() % kPartitions);
    std::sort(bounds.begin(), bounds.end());
    for (size_t i = 1; i < bounds.size(); ++i) chunks_.emplace_back(bounds[i - 1], bounds[i]);
    std::shuffle(chunks_.begin(), chunks_.end(), random);
  }

  bool done() const { return chunks_.empty(); }
  // The next chunk; `between` runs before each row is looked at.
  void Read(const std::function<void()>& between = [] {}) {
    const auto [begin, end] = chunks_.back();
    chunks_.pop_back();
    uint64_t last = 0;
    const Status status = snapshot_->ForEachRow(begin, end, [&](const RowView& row) {
      between();
      const uint64_t mixed = Mix64(row.key.value);
      EXPECT_TRUE(last == 0 || last < mixed) << "out of order";
      last = mixed;
      EXPECT_TRUE(PartitionOf(row.key) >= begin && PartitionOf(row.key) < end);
      const auto found = rows_.find(row.key.value);
      if (found == rows_.end()) return Status(StatusCode::kInternal, "key of nobody, or twice");
      if (!Same(row, found->second)) {
        return Status(StatusCode::kInternal, "not as it was: " + std::to_string(row.key.value));
      }
      rows_.erase(found);
      digest_ += HashRow(row);
      return Ok();
    });
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  void ReadAll() {
    while (!done()) Read();
  }
  // All rows were seen, and they have this digest.
  void ExpectAll(uint64_t digest) const {
    EXPECT_TRUE(done());
    EXPECT_TRUE(rows_.empty()) << rows_.size() << " rows were not visited";
    EXPECT_EQ(digest_, digest);
  }

 private:
  TableSnapshot* const snapshot_;
  std::unordered_map<uint64_t, ModelRow> rows_;  // not visited yet
  std::vector<std::pair<uint32_t, uint32_t>> chunks_;
  uint64_t digest_ = 0;
};

// Steps of training before each chunk and, one in 50, before a row of a chunk is looked at.
void Interleave(const OptimizerCase& optimizer, int dim, int threads, uint64_t seed) {
  SCOPED_TRACE(testing::Message() << optimizer.name << ", dim " << dim << ", threads " << threads
                                  << ", seed " << seed);
  ThreadPool pool(threads);
  Trained trained(Spec(dim, optimizer), &pool, seed);
  std::mt19937_64 random(seed + 1000);
  const auto memory = std::make_shared<SnapshotMemory>(kPlenty);
  for (int round = 0; round < 2; ++round) {
    for (uint64_t i = random() % 6; i > 0; --i) trained.Step();
    const auto snapshot = Mark(trained.table, memory);
    const uint64_t digest = trained.table.Digest();
    EXPECT_EQ(snapshot->rows(), trained.table.rows());
    Reader reader(snapshot.get(), trained.model, seed);
    int steps = 12;
    while (!reader.done()) {
      for (uint64_t i = random() % 3; i > 0; --i) trained.Step();
      reader.Read([&] {
        if (random() % 50 == 0 && steps-- > 0) trained.Step();
      });
    }
    reader.ExpectAll(digest);
    trained.Step();
  }
  EXPECT_EQ(memory->held(), 0);
  EXPECT_EQ(memory->waited().count(), 0);
  ExpectSame(trained.table, trained.model);
}

TEST(Snapshot, IsTheTableAtItsMarkHoweverTrainingGoesOn) {
  uint64_t seed = 100;
  for (const OptimizerCase& optimizer : kOptimizers) {
    for (const int dim : {1, 8, 13}) {
      if (kSanitized && dim > 1) break;
      Interleave(optimizer, dim, 1, ++seed);
      Interleave(optimizer, dim, 3, ++seed);
    }
  }
}

TEST(Snapshot, IsTheTableAtItsMarkWhenReadByAnotherThread) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ThreadPool pool(seed % 2 ? 1 : 3);
    Trained trained(Spec(5 + seed, kOptimizers[seed % 4]), &pool, seed);
    for (int i = 0; i < 12; ++i) trained.Step();
    const auto memory = std::make_shared<SnapshotMemory>(kPlenty);
    auto snapshot = Mark(trained.table, memory);
    const uint64_t digest = trained.table.Digest();
    Reader reader(snapshot.get(), trained.model, seed);
    std::atomic<bool> over{false};
    std::thread writer([&] {
      reader.ReadAll();
      snapshot.reset();
      over = true;
    });
    for (int i = 0; i < 8 || !over; ++i) trained.Step();
    writer.join();
    reader.ExpectAll(digest);
    trained.Step();
    ExpectSame(trained.table, trained.model);
    EXPECT_EQ(memory->held(), 0);
  }
}

// Enough rows for several passes over the index, which grows meanwhile.
TEST(Snapshot, ALargeTableIsSortedInPassesWhileItsIndexGrows) {
  constexpr int64_t kRows = kSanitized ? 100'000 : 200'000;
  ThreadPool pool(1);
  CpuTable table(Spec(1), &pool);
  const std::vector<Key> keys = Keys(0, kRows);
  const Pulled pulled = Pull(table, keys);
  const uint64_t digest = table.Digest();
  const auto snapshot = Mark(table, std::make_shared<SnapshotMemory>(kPlenty));
  int64_t visited = 0;
  uint64_t seen = 0, last = 0;
  const Status status = snapshot->ForEachRow(0, kPartitions, [&](const RowView& row) {
    const uint64_t mixed = Mix64(row.key.value);
    EXPECT_TRUE(last == 0 || last < mixed);
    last = mixed;
    if (++visited % 20'000 == 0) {
      Pull(table, Keys(visited * 100, visited * 100 + 30'000));
      Push(table, keys, pulled.handles, visited);
    }
    seen += HashRow(row);
    return Ok();
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(visited, kRows);
  EXPECT_EQ(seen, digest);
}

TEST(Snapshot, OfAnEmptyTableHasNoRows) {
  ThreadPool pool(1);
  Trained trained(Spec(3), &pool, 1);
  const auto memory = std::make_shared<SnapshotMemory>(1000);
  const auto snapshot = Mark(trained.table, memory);
  EXPECT_EQ(snapshot->rows(), 0);
  trained.Train(Keys(0, 100));
  Reader reader(snapshot.get(), Model(trained.table.spec()), 1);
  reader.ReadAll();
  reader.ExpectAll(0);
}

// A table of `rows` rows, what a snapshot of it holds, and what an image does.
class SnapshotMemoryTest : public testing::Test {
 protected:
  static constexpr uint64_t kRows = 2000;

  SnapshotMemoryTest() : pool_(1), trained_(Spec(8), &pool_, 1) {
    trained_.Train(Keys(0, kRows));
    const auto memory = std::make_shared<SnapshotMemory>(kPlenty);
    const auto snapshot = Mark(trained_.table, memory);
    fixed_ = memory->held();
    trained_.Train(Keys(0, 1));
    image_ = memory->held() - fixed_;
  }

  std::shared_ptr<SnapshotMemory> RoomFor(
      int64_t images, std::chrono::nanoseconds patience = std::chrono::hours(24)) const {
    return std::make_shared<SnapshotMemory>(fixed_ + images * image_, patience);
  }
  // In a thread of its own, trains on keys whose Push has to wait, and returns once it does.
  std::thread TrainAndWait(std::vector<Key> keys, const SnapshotMemory& memory) {
    std::thread thread([this, keys = std::move(keys)] { trained_.Train(keys); });
    while (memory.waiting() == 0) std::this_thread::yield();
    return thread;
  }

  ThreadPool pool_;
  Trained trained_;
  int64_t fixed_ = 0, image_ = 0;
};

TEST_F(SnapshotMemoryTest, CountsStatesAndImagesOfRowsOnce) {
  EXPECT_GE(fixed_, static_cast<int64_t>(kRows) * (16 + 1 / 4));  // sorting, states
  EXPECT_GE(image_, 4 * (8 + 8) + 24);  // floats with Adagrad's state, counters
  const auto memory = RoomFor(100);
  const auto snapshot = Mark(trained_.table, memory);
  EXPECT_EQ(memory->held(), fixed_);
  trained_.Train(Keys(0, 60));
  EXPECT_EQ(memory->held(), fixed_ + 60 * image_);
  trained_.Train(Keys(20, 80));
  trained_.Train(Keys(kRows, kRows + 500));  // created after the mark
  EXPECT_EQ(memory->held(), fixed_ + 80 * image_);
  const Status status = snapshot->ForEachRow(0, kPartitions, [](const RowView&) { return Ok(); });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(memory->held(), fixed_);
  trained_.Train(Keys(0, kRows));  // all passed
  EXPECT_EQ(memory->held(), fixed_);
  EXPECT_EQ(memory->peak(), fixed_ + 80 * image_);
}

TEST_F(SnapshotMemoryTest, APushBeyondTheBoundWaitsForTheWriter) {
  const auto memory = RoomFor(100);
  auto snapshot = Mark(trained_.table, memory);
  const uint64_t digest = trained_.table.Digest();
  Reader reader(snapshot.get(), trained_.model, 7);
  trained_.Train(Keys(0, 90));
  std::thread push = TrainAndWait(Keys(90, 150), *memory);
  reader.ReadAll();
  if (HasFailure()) snapshot.reset();  // or the push would wait for ever
  push.join();
  reader.ExpectAll(digest);
  EXPECT_GT(memory->waited().count(), 0);
  EXPECT_EQ(memory->waiting(), 0);
  EXPECT_LE(memory->peak(), memory->limit());
  snapshot.reset();
  EXPECT_EQ(memory->held(), 0);
  ExpectSame(trained_.table, trained_.model);
}

// Every step needs to wait; the writer reads chunk by chunk in another thread.
TEST_F(SnapshotMemoryTest, TrainingGetsOnUnderATightBound) {
  const auto memory = RoomFor(120);
  auto snapshot = Mark(trained_.table, memory);
  const uint64_t digest = trained_.table.Digest();
  Reader reader(snapshot.get(), trained_.model, 3);
  std::thread writer;
  for (uint64_t begin = 0; begin < kRows; begin += 100) {
    // The second step cannot go on before the writer starts.
    if (begin == 100) {
      writer = std::thread([&] {
        reader.ReadAll();
        if (HasFailure()) snapshot.reset();  // or training would wait for ever
      });
    }
    trained_.Train(Keys(begin, begin + 100));
  }
  writer.join();
  reader.ExpectAll(digest);
  EXPECT_LE(memory->peak(), memory->limit());
  snapshot.reset();
  EXPECT_EQ(memory->held(), 0);
  ExpectSame(trained_.table, trained_.model);
}

TEST_F(SnapshotMemoryTest, TheEndOfAHalfReadSnapshotReleasesAWaitingPush) {
  const auto memory = RoomFor(100);
  auto snapshot = Mark(trained_.table, memory);
  trained_.Train(Keys(0, 100));
  std::thread push = TrainAndWait(Keys(90, 190), *memory);
  int visits = 0;
  const Status status = snapshot->ForEachRow(0, kPartitions / 100, [&](const RowView&) {
    return ++visits == 3 ? Status(StatusCode::kIoError, "disk full") : Ok();
  });
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_EQ(visits, 3);
  snapshot.reset();
  push.join();
  EXPECT_EQ(memory->held(), 0);
  trained_.Train(Keys(0, kRows));
  ExpectSame(trained_.table, trained_.model);
}

TEST_F(SnapshotMemoryTest, APushLargerThanTheBoundGoesOnWhenNoImageIsHeld) {
  const auto memory = RoomFor(10);
  auto snapshot = Mark(trained_.table, memory);
  const uint64_t digest = trained_.table.Digest();
  Reader reader(snapshot.get(), trained_.model, 7);
  trained_.Train(Keys(0, 500));
  EXPECT_EQ(memory->peak(), fixed_ + 500 * image_);
  EXPECT_EQ(memory->waited().count(), 0);
  std::thread push = TrainAndWait(Keys(400, 900), *memory);  // an image is held
  reader.ReadAll();
  if (HasFailure()) snapshot.reset();  // or the push would wait for ever
  push.join();
  reader.ExpectAll(digest);
  EXPECT_EQ(memory->held(), fixed_);
  ExpectSame(trained_.table, trained_.model);
}

TEST_F(SnapshotMemoryTest, TablesShareIt) {
  Trained other(trained_.table.spec(), &pool_, 2);
  other.Train(Keys(0, kRows));
  const auto memory = std::make_shared<SnapshotMemory>(2 * fixed_ + 100 * image_);
  auto snapshot = Mark(trained_.table, memory);
  auto others = Mark(other.table, memory);
  const uint64_t digest = other.table.Digest();
  Reader reader(others.get(), other.model, 9);
  other.Train(Keys(0, 80));
  std::thread push = TrainAndWait(Keys(0, 30), *memory);
  reader.ReadAll();
  if (HasFailure()) others.reset();
  push.join();
  reader.ExpectAll(digest);
  EXPECT_EQ(memory->held(), 2 * fixed_ + 30 * image_);
  EXPECT_LE(memory->peak(), memory->limit());
  snapshot.reset();
  EXPECT_EQ(memory->held(), fixed_);
}

TEST_F(SnapshotMemoryTest, MarksThatDoNotFitAreAnErrorAndTrainingGoesOn) {
  const auto memory = std::make_shared<SnapshotMemory>(fixed_ - 1);
  const Status status = trained_.table.Snapshot(memory).status();
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  const std::string text = status.ToString();
  EXPECT_TRUE(text.starts_with("table items: a snapshot of ")) << text;
  EXPECT_TRUE(text.ends_with(" rows needs " + std::to_string(fixed_) +
                             " bytes beside before-images; of the " + std::to_string(fixed_ - 1) +
                             " bytes that snapshots may hold, 0 are taken; raise "
                             "checkpoint.snapshot_mb"))
      << text;
  EXPECT_EQ(memory->held(), 0);
  trained_.Train(Keys(0, kRows + 100));
  ExpectSame(trained_.table, trained_.model);
}

// No reader comes: the push gives the snapshot up and goes on.
TEST_F(SnapshotMemoryTest, APushThatWaitsTooLongGivesTheSnapshotUp) {
  const auto memory = RoomFor(100, std::chrono::nanoseconds(1));
  auto snapshot = Mark(trained_.table, memory);
  trained_.Train(Keys(0, 90));
  EXPECT_EQ(memory->waited().count(), 0);
  trained_.Train(Keys(90, 150));
  EXPECT_GT(memory->waited().count(), 0);
  int64_t visited = 0;
  const Status status = snapshot->ForEachRow(0, kPartitions, [&](const RowView&) {
    ++visited;
    return Ok();
  });
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_NE(status.ToString().find("raise checkpoint.snapshot_mb"), std::string::npos)
      << status.ToString();
  EXPECT_EQ(visited, 0);
  snapshot = nullptr;
  EXPECT_EQ(memory->held(), 0);
  ExpectSame(trained_.table, trained_.model);
}

// One that is given up gives the others of its memory up as well: they are of one checkpoint.
TEST_F(SnapshotMemoryTest, OneThatIsGivenUpEndsTheWaitingForAll) {
  Trained other(trained_.table.spec(), &pool_, 2);
  other.Train(Keys(0, kRows));
  const auto memory =
      std::make_shared<SnapshotMemory>(2 * fixed_ + 100 * image_, std::chrono::nanoseconds(1));
  auto snapshot = Mark(trained_.table, memory);
  auto others = Mark(other.table, memory);
  trained_.Train(Keys(0, 90));
  trained_.Train(Keys(90, 150));
  const auto waited = memory->waited();
  EXPECT_GT(waited.count(), 0);
  memory->BeginStep();
  other.Train(Keys(0, kRows));
  EXPECT_EQ(memory->waited(), waited);
  for (TableSnapshot* one : {snapshot.get(), others.get()}) {
    const Status status = one->ForEachRow(0, kPartitions, [](const RowView&) { return Ok(); });
    EXPECT_EQ(status.code(), StatusCode::kOutOfMemory) << status.ToString();
  }
  snapshot = nullptr;
  others = nullptr;
  EXPECT_EQ(memory->held(), 0);
  ExpectSame(other.table, other.model);
  Reader reader((snapshot = Mark(trained_.table, RoomFor(100))).get(), trained_.model, 5);
  reader.ReadAll();
  reader.ExpectAll(trained_.table.Digest());
}

TEST_F(SnapshotMemoryTest, WhatPushesHeldComesBackAtTheEnd) {
  const auto memory = RoomFor(kRows);
  for (int round = 0; round < 3; ++round) {
    auto snapshot = Mark(trained_.table, memory);
    trained_.Train(Keys(0, kRows));
    EXPECT_EQ(memory->held(), memory->limit());
    snapshot.reset();
    EXPECT_EQ(memory->held(), 0);
  }
}

using SnapshotDeathTest = SnapshotMemoryTest;

TEST_F(SnapshotDeathTest, MisuseIsABug) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto memory = RoomFor(kRows);
  const auto snapshot = Mark(trained_.table, memory);
  const std::vector<float> floats(8);
  const auto read = [&] {
    return snapshot->ForEachRow(0, kPartitions, [](const RowView&) { return Ok(); });
  };
  EXPECT_DEATH((void)trained_.table.Snapshot(memory), "one snapshot at a time");
  EXPECT_DEATH((void)trained_.table.Insert({Key{1}, floats, floats, 0, 0, 0}),
               "Insert during a snapshot");
  EXPECT_TRUE(read().ok());
  EXPECT_DEATH((void)read(), "read twice");
}

}  // namespace
}  // namespace trestle::embedding
