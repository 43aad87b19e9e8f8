#include "ps/checkpoint/checkpoint_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tests/ps/checkpoint_files.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

// The table's rows in [begin, end) as the reader has them; each may come once.
Result<PlainRows> ReadRows(const CheckpointReader& reader, const std::string& table, uint32_t begin,
                           uint32_t end) {
  PlainRows rows;
  TRESTLE_RETURN_IF_ERROR(reader.ForEachRow(table, begin, end, [&](const RowView& row) {
    const bool first = rows.emplace(Mix64(row.key.value), PlainRow::Of(row)).second;
    return first ? Status() : Status(StatusCode::kInternal, "a row came twice");
  }));
  return rows;
}

PlainRows RowsBetween(const PlainRows& rows, uint32_t begin, uint32_t end) {
  PlainRows between;
  for (const auto& [mixed, row] : rows) {
    if (mixed >> 48 >= begin && mixed >> 48 < end) between[mixed] = row;
  }
  return between;
}

void ExpectHolds(const CheckpointReader& reader, const PlainCheckpoint& expected,
                 std::mt19937_64& random) {
  for (const PlainTable& table : expected.tables) {
    const auto all = ReadRows(reader, table.name, 0, kPartitions);
    ASSERT_TRUE(all.ok()) << all.status().ToString();
    EXPECT_TRUE(*all == table.rows) << table.name;
    for (int range = 0; range < 5; ++range) {
      const auto a = static_cast<uint32_t>(random() % (kPartitions + 1));
      const auto b = static_cast<uint32_t>(random() % (kPartitions + 1));
      const auto some = ReadRows(reader, table.name, std::min(a, b), std::max(a, b));
      ASSERT_TRUE(some.ok()) << some.status().ToString();
      EXPECT_TRUE(*some == RowsBetween(table.rows, std::min(a, b), std::max(a, b)));
    }
  }
  const auto dense = reader.Dense();
  ASSERT_TRUE(dense.ok()) << dense.status().ToString();
  ASSERT_EQ(dense->size(), expected.dense.size());
  for (size_t i = 0; i < dense->size(); ++i) {
    EXPECT_EQ((*dense)[i].name, expected.dense[i].name);
    EXPECT_EQ((*dense)[i].rows, expected.dense[i].rows);
    EXPECT_EQ((*dense)[i].cols, expected.dense[i].cols);
    EXPECT_EQ(std::memcmp((*dense)[i].values.data(), expected.dense[i].values.data(),
                          expected.dense[i].values.size() * sizeof(float)),
              0);
  }
}

TEST(CheckpointReader, GivesBackWhatWasWritten) {
  FileSystem& fs = FileSystem::Local();
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    TempDir dir;
    const auto written = RandomCheckpoint(random, static_cast<int>(random() % 300));
    const auto path = WritePlainCheckpoint(fs, dir.path(), written,
                                           {.servers = 1 + static_cast<int>(random() % 5),
                                            .batch_bytes = 1 + static_cast<int>(random() % 9000)});
    ASSERT_TRUE(path.ok()) << path.status().ToString();
    const auto reader = CheckpointReader::Open(fs, *path);
    ASSERT_TRUE(reader.ok()) << reader.status().ToString();
    ExpectHolds(**reader, written, random);
    const Status verified = (*reader)->Verify();
    EXPECT_TRUE(verified.ok()) << verified.ToString();
    EXPECT_EQ((*reader)->base(), nullptr);
  }
}

// A delta on a full checkpoint of other servers: the rows it has, and the base's others.
TEST(CheckpointReader, ADeltaAndItsBaseAreOneCheckpoint) {
  FileSystem& fs = FileSystem::Local();
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    TempDir dir;
    PlainCheckpoint model = RandomCheckpoint(random, static_cast<int>(random() % 200));
    const CheckpointName base{10, 1};
    ASSERT_TRUE(WritePlainCheckpoint(fs, dir.path(), model,
                                     {.name = base, .servers = 3, .batch_bytes = 2000})
                    .ok());
    for (PlainTable& table : model.tables) {
      ChangeRandomRows(random, &table, static_cast<int>(random() % 50), 11);
      AddRandomRows(random, &table, static_cast<int>(random() % 50), 12);
    }
    const auto path = WritePlainCheckpoint(fs, dir.path(), model,
                                           {.name = {20, 2},
                                            .servers = 1 + static_cast<int>(random() % 4),
                                            .batch_bytes = 1000,
                                            .number = 2,
                                            .base = base.ToString(),
                                            .base_step = 10});
    ASSERT_TRUE(path.ok()) << path.status().ToString();
    const auto reader = CheckpointReader::Open(fs, *path);
    ASSERT_TRUE(reader.ok()) << reader.status().ToString();
    ExpectHolds(**reader, model, random);
    ASSERT_NE((*reader)->base(), nullptr);
    EXPECT_EQ((*reader)->base()->name(), base.ToString());
    const Status verified = (*reader)->Verify();
    EXPECT_TRUE(verified.ok()) << verified.ToString();
  }
}

TEST(CheckpointReader, ADeltaOnADeltaIsRefused) {
  FileSystem& fs = FileSystem::Local();
  std::mt19937_64 random(1);
  TempDir dir;
  const PlainCheckpoint model = RandomCheckpoint(random, 5);
  ASSERT_TRUE(WritePlainCheckpoint(fs, dir.path(), model, {.name = {1, 1}}).ok());
  for (int64_t step = 2; step <= 3; ++step) {
    const WriteOptions options{
        .name = {step, 1}, .base = CheckpointName{step - 1, 1}.ToString(), .base_step = step};
    ASSERT_TRUE(WritePlainCheckpoint(fs, dir.path(), model, options).ok());
  }
  const auto reader = CheckpointReader::Open(fs, dir.Join("step-00000003.1"));
  EXPECT_EQ(reader.status().code(), StatusCode::kCorrupt);
  EXPECT_THAT(reader.status().ToString(), HasSubstr("a delta, expected a full checkpoint"));
}

TEST(CheckpointReader, SaysWhichTableItHasNot) {
  FileSystem& fs = FileSystem::Local();
  std::mt19937_64 random(1);
  TempDir dir;
  const auto path = WritePlainCheckpoint(fs, dir.path(), RandomCheckpoint(random, 5), {});
  const auto reader = CheckpointReader::Open(fs, *path);
  ASSERT_TRUE(reader.ok());
  const Status status = ReadRows(**reader, "shop", 0, kPartitions).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.ToString(), HasSubstr("has no table shop"));
  EXPECT_EQ(CheckpointReader::Open(fs, dir.Join("step-00000009.1")).status().code(),
            StatusCode::kNotFound);
}

TEST(CheckpointReader, AVisitorEndsTheReading) {
  FileSystem& fs = FileSystem::Local();
  std::mt19937_64 random(1);
  TempDir dir;
  const auto path = WritePlainCheckpoint(fs, dir.path(), RandomCheckpoint(random, 5), {});
  const auto reader = CheckpointReader::Open(fs, *path);
  ASSERT_TRUE(reader.ok());
  int visited = 0;
  const Status status = (*reader)->ForEachRow("item", 0, kPartitions, [&](const RowView&) {
    return ++visited < 3 ? Status() : Status(StatusCode::kOutOfMemory, "full");
  });
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(visited, 3);
}

}  // namespace
}  // namespace trestle
