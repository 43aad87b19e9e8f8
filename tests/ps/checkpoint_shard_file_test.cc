#include "ps/checkpoint/shard_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "ps/checkpoint/hashed_file.h"
#include "tests/ps/altered_files.h"
#include "tests/ps/checkpoint_files.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

class ShardFile : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fs_.MakeDirectories(dir_.Join("embedding")).ok()); }

  Result<FileEntry> Write(const PlainTable& table, const WriteOptions& options, int server = 0) {
    return WritePlainShard(fs_, dir_.path(), table, server, options);
  }
  // The rows in the order in which they come.
  Result<std::vector<PlainRow>> Read(FileSystem& fs, const PlainTable& table,
                                     const FileEntry& entry, uint32_t begin, uint32_t end) {
    std::vector<PlainRow> rows;
    TRESTLE_RETURN_IF_ERROR(ReadShardFile(fs, dir_.path(), entry, table.dim, table.state_width(),
                                          begin, end, [&](std::span<const RowView> views) {
                                            for (const RowView& view : views)
                                              rows.push_back(PlainRow::Of(view));
                                            return Status();
                                          }));
    return rows;
  }
  static std::vector<PlainRow> RowsOf(const PlainTable& table, uint32_t begin, uint32_t end) {
    std::vector<PlainRow> rows;
    for (const auto& [mixed, row] : table.rows) {
      if (mixed >> 48 >= begin && mixed >> 48 < end) rows.push_back(row);
    }
    return rows;
  }

  TempDir dir_;
  FileSystem& fs_ = FileSystem::Local();
};

TEST_F(ShardFile, IsNamedByTableAndServer) {
  EXPECT_EQ(ShardFileName("item", 3, 8), "embedding/item-00003-of-00008.arrow");
}

TEST_F(ShardFile, GivesBackRowsInOrder) {
  const std::string optimizers[] = {"sgd",     "adagrad", "rowwise_adagrad", "momentum", "adam",
                                    "rmsprop", "ftrl"};
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    PlainTable table{
        "t", 1 + static_cast<int>(random() % 20), optimizers[random() % std::size(optimizers)], {}};
    AddRandomRows(random, &table, static_cast<int>(random() % 400), 3);
    const WriteOptions options{.servers = 1 + static_cast<int>(random() % 3),
                               .batch_bytes = 1 + static_cast<int64_t>(random() % 20'000)};
    const int server = static_cast<int>(random() % options.servers);
    const uint32_t begin = ShardBegin(server, options.servers);
    const uint32_t end = ShardBegin(server + 1, options.servers);
    const auto entry = Write(table, options, server);
    ASSERT_TRUE(entry.ok()) << entry.status().ToString();
    EXPECT_EQ(entry->name(), ShardFileName("t", server, options.servers));
    EXPECT_EQ(entry->begin_partition(), begin);
    EXPECT_EQ(entry->end_partition(), end);
    EXPECT_EQ(entry->rows(), static_cast<int64_t>(RowsOf(table, begin, end).size()));
    const std::string text = fs_.Read(dir_.Join(entry->name())).value();
    EXPECT_EQ(entry->bytes(), static_cast<int64_t>(text.size()));
    EXPECT_EQ(entry->xxh3_128(), Hash128(text));

    const auto all = Read(fs_, table, *entry, 0, kPartitions);
    ASSERT_TRUE(all.ok()) << all.status().ToString();
    EXPECT_TRUE(*all == RowsOf(table, begin, end));
    for (int range = 0; range < 10; ++range) {
      const auto a = static_cast<uint32_t>(random() % (kPartitions + 1));
      const auto b = static_cast<uint32_t>(random() % (kPartitions + 1));
      const uint32_t low = std::min(a, b), high = std::max(a, b);
      const auto some = Read(fs_, table, *entry, low, high);
      ASSERT_TRUE(some.ok()) << some.status().ToString();
      EXPECT_TRUE(*some == RowsOf(table, std::max(begin, low), std::min(end, high)));
    }
  }
}

TEST_F(ShardFile, SameRowsMakeTheSameBytes) {
  std::mt19937_64 random(7);
  PlainTable table{"t", 8, "adam", {}};
  AddRandomRows(random, &table, 500, 3);
  const auto first = Write(table, {.servers = 1, .batch_bytes = 5000});
  const auto second = Write(table, {.servers = 1, .batch_bytes = 5000});
  EXPECT_EQ(first->SerializeAsString(), second->SerializeAsString());
}

// Extreme counters, and floats whose bits say more than their value.
TEST_F(ShardFile, BitsSurvive) {
  PlainTable table{"t", 3, "adagrad", {}};
  const auto bits = [](uint32_t b) { return std::bit_cast<float>(b); };
  const PlainRow row{std::numeric_limits<uint64_t>::max(),
                     {bits(0x7F800001), bits(0xFFC12345), -0.0f},  // signalling, quiet with payload
                     {bits(0x7F800000), bits(0xFF800000), bits(1)},
                     std::numeric_limits<uint64_t>::max(),
                     std::numeric_limits<uint64_t>::max() - 1,
                     std::numeric_limits<int64_t>::min()};
  PlainRow zero = row;
  zero.key = 0;
  for (const PlainRow& r : {row, zero}) table.rows[Mix64(r.key)] = r;
  const auto entry = Write(table, {.servers = 1});
  ASSERT_TRUE(entry.ok()) << entry.status().ToString();
  EXPECT_TRUE(Read(fs_, table, *entry, 0, kPartitions).value() == RowsOf(table, 0, kPartitions));
}

TEST_F(ShardFile, ManyRowsMakeManyBatches) {
  std::mt19937_64 random(3);
  PlainTable table{"t", 16, "adagrad", {}};
  for (uint64_t key = 0; key < 70'000; ++key) {
    table.rows[Mix64(key)] = {
        key, std::vector<float>(16, static_cast<float>(key)), std::vector<float>(16, 1.0f), key, 1,
        2};
  }
  const auto entry = Write(table, {.servers = 1});  // 160 bytes a row: three batches
  ASSERT_TRUE(entry.ok()) << entry.status().ToString();
  EXPECT_TRUE(Read(fs_, table, *entry, 0, kPartitions).value() == RowsOf(table, 0, kPartitions));
  EXPECT_LT(entry->head_bytes() + entry->tail_bytes(), 4096);
}

// A loader reads, and checks, what it owns: a batch that is damaged hurts none but its own rows.
TEST_F(ShardFile, ReadsOnlyTheBatchesOfItsPartitions) {
  std::mt19937_64 random(5);
  PlainTable table{"t", 4, "adagrad", {}};
  while (table.rows.size() < 100) AddRandomRows(random, &table, 1, 3);
  const auto entry = Write(table, {.servers = 1, .batch_bytes = 640});  // ten rows
  ASSERT_TRUE(entry.ok());
  const auto rows = RowsOf(table, 0, kPartitions);
  AlteredFiles fs(fs_);
  const std::string path = dir_.Join(entry->name());
  const std::string text = fs_.Read(path).value();
  const auto batch_bytes = (entry->bytes() - entry->head_bytes() - entry->tail_bytes()) / 10;
  for (int damaged = 0; damaged < 10; ++damaged) {
    std::string changed = text;
    changed[static_cast<size_t>(entry->head_bytes() + batch_bytes * damaged + batch_bytes / 2)] ^=
        1;
    fs.altered[path] = changed;
    for (int row = 0; row < 100; ++row) {
      const uint32_t partition = PartitionOf(Key{rows[static_cast<size_t>(row)].key});
      const auto read = Read(fs, table, *entry, partition, partition + 1);
      if (row / 10 == damaged) {
        EXPECT_EQ(read.status().code(), StatusCode::kCorrupt);
        EXPECT_THAT(read.status().ToString(), HasSubstr(path + ": the batch's at byte "));
      } else if (read.ok()) {  // not: its partition reaches into the damaged batch
        EXPECT_TRUE(*read == RowsOf(table, partition, partition + 1));
      } else {
        EXPECT_EQ(row / 10, row < damaged * 10 ? damaged - 1 : damaged + 1);
      }
    }
  }
}

TEST_F(ShardFile, AnotherDimOrOptimizerIsTheConfigsFault) {
  std::mt19937_64 random(5);
  PlainTable table{"item", 4, "adagrad", {}};
  AddRandomRows(random, &table, 10, 3);
  const auto entry = Write(table, {.servers = 1});
  PlainTable wider = table, other = table;
  wider.dim = 5;
  other.optimizer = "adam";
  for (const PlainTable& config : {wider, other}) {
    const Status status = Read(fs_, config, *entry, 0, kPartitions).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidConfig);
    EXPECT_THAT(
        status.ToString(),
        HasSubstr(entry->name() + ": table item has dim 4 and 4 floats of optimizer state"));
  }
}

TEST_F(ShardFile, SizesAreComparedFirst) {
  PlainTable table{"item", 4, "adagrad", {}};
  const auto entry = Write(table, {.servers = 1});
  ASSERT_TRUE(entry.ok());
  const std::string path = dir_.Join(entry->name());
  const std::string text = fs_.Read(path).value();
  const std::string size = std::to_string(text.size());
  dir_.Write(entry->name(), text.substr(0, 100));
  EXPECT_EQ(Read(fs_, table, *entry, 0, 1).status().ToString(),
            path + ": 100 bytes, expected " + size + ": cut");
  dir_.Write(entry->name(), text + "x");
  EXPECT_THAT(Read(fs_, table, *entry, 0, 1).status().ToString(), HasSubstr("longer than"));
  ASSERT_TRUE(fs_.Remove(path).ok());
  EXPECT_EQ(Read(fs_, table, *entry, 0, 1).status().ToString(),
            path + ": missing, expected " + size + " bytes");
}

TEST_F(ShardFile, RefusesRowsThatAreOutOfPlace) {
  std::mt19937_64 random(9);
  PlainTable table{"item", 4, "adagrad", {}};
  AddRandomRows(random, &table, 10, 3);
  const auto rows = RowsOf(table, 0, kPartitions);
  const auto write = [&](const std::vector<PlainRow>& given, int server, int servers) {
    const ShardFileSpec spec{dir_.path(), "item", 4, 4, "adagrad", server, servers, 4 << 20};
    return WriteShardFile(fs_, spec,
                          [&](const std::function<Status(const RowView&)>& visit) {
                            for (const PlainRow& row : given)
                              TRESTLE_RETURN_IF_ERROR(visit(row.View()));
                            return Status();
                          })
        .status()
        .ToString();
  };
  EXPECT_THAT(write({rows[1], rows[0]}, 0, 1), HasSubstr("is out of order"));
  EXPECT_THAT(write({rows[1], rows[1]}, 0, 1), HasSubstr("is out of order"));
  EXPECT_THAT(write({rows[0]}, kPartitions - 1, kPartitions), HasSubstr("another server's"));
  PlainRow narrow = rows[0], stateless = rows[0];
  narrow.weights.resize(3);
  stateless.state.clear();
  EXPECT_THAT(write({narrow}, 0, 1), HasSubstr("has another dim"));
  EXPECT_THAT(write({stateless}, 0, 1), HasSubstr("has other state"));
  EXPECT_EQ(write(rows, 0, 1), "OK");
}

TEST_F(ShardFile, AStateThatIsNotTheOptimizersIsABug) {
  const ShardFileSpec spec{dir_.path(), "item", 4, 3, "adagrad", 0, 1, 4 << 20};
  const auto none = [](const std::function<Status(const RowView&)>&) { return Status(); };
  EXPECT_EQ(WriteShardFile(fs_, spec, none).status().code(), StatusCode::kInternal);
}

// What an optimizer of another program leaves is one column.
TEST_F(ShardFile, UnknownOptimizersHaveOneColumnOfState) {
  const ShardFileSpec spec{dir_.path(), "item", 2, 3, "lion", 0, 1, 4 << 20};
  const PlainRow row{5, {1, 2}, {3, 4, 5}, 6, 7, 8};
  const auto entry = WriteShardFile(
      fs_, spec,
      [&](const std::function<Status(const RowView&)>& visit) { return visit(row.View()); });
  ASSERT_TRUE(entry.ok()) << entry.status().ToString();
  const Status read = ReadShardFile(fs_, dir_.path(), *entry, 2, 3, 0, kPartitions,
                                    [&](std::span<const RowView> rows) {
                                      EXPECT_EQ(rows.size(), 1u);
                                      EXPECT_TRUE(PlainRow::Of(rows[0]) == row);
                                      return Status();
                                    });
  EXPECT_TRUE(read.ok()) << read.ToString();
}

TEST_F(ShardFile, TellsAFailureAtEveryCall) {
  std::mt19937_64 random(5);
  PlainTable table{"t", 500, "adagrad", {}};
  AddRandomRows(random, &table, 500, 3);
  const WriteOptions options{.servers = 1, .batch_bytes = 600'000};
  for (const bool reading : {false, true}) {
    const auto entry = Write(table, options);
    ASSERT_TRUE(entry.ok());
    bool failed = true;
    int64_t call = 1;
    std::string told;
    for (; failed; ++call) {
      FaultFileSystem fs(fs_, {.fail_call = call, .only_once = true, .short_write = 100});
      const Status status = reading ? Read(fs, table, *entry, 0, kPartitions).status()
                                    : WritePlainShard(fs, dir_.path(), table, 0, options).status();
      failed = fs.calls() >= call;
      ASSERT_EQ(status.ok(), !failed) << status.ToString();
      if (!failed) break;
      EXPECT_EQ(status.code(), StatusCode::kIoError);
      EXPECT_THAT(status.ToString(), HasSubstr(entry->name()));
      told += status.ToString();
    }
    EXPECT_THAT(told, HasSubstr(reading ? "(read " : "(sync "));
    EXPECT_GT(call, 5);
  }
}

TEST_F(ShardFile, AFullDiskIsTold) {
  std::mt19937_64 random(5);
  PlainTable table{"t", 100, "adagrad", {}};
  AddRandomRows(random, &table, 500, 3);
  FaultFileSystem fs(fs_, {.capacity = 200'000});
  const Status status = WritePlainShard(fs, dir_.path(), table, 0, {.servers = 1}).status();
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_THAT(status.ToString(), HasSubstr("no space left (injected): " + dir_.path()));
}

}  // namespace
}  // namespace trestle
