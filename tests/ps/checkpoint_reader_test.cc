#include "ps/checkpoint/checkpoint_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace trestle
