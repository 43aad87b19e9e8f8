// `trestle checkpoint diff`: planted differences are found, and nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "launcher/checkpoint/commands.h"
#include "launcher/checkpoint/diff_config.h"
#include "launcher/checkpoint/diff_tables.h"
#include "launcher/checkpoint/row_block.h"
#include "tests/launcher/checkpoint_model.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CheckpointDiff : public ::testing::Test {
 protected:
  std::string Write(const std::string& run, const CheckpointModel& model, int servers,
                    const CheckpointName* base = nullptr) {
    return WriteCheckpoint(fs_, dir_.Join(run), model, {model.cursor.step(), 1}, servers, base);
  }
  // What diff prints; whether it finds them equal goes to `same`.
  std::string Diff(const std::string& a, const std::string& b, bool* same) {
    std::ostringstream out;
    const auto result = DiffCommand(fs_, a, b, out);
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    *same = result.ok() && *result;
    return out.str();
  }

  FileSystem& fs_ = FileSystem::Local();
  TempDir dir_{"diff"};
  bool same_ = false;
};

TEST_F(CheckpointDiff, HowItIsShardedDoesNotCount) {
  const std::string a = Write("a", SmallModel(20), 1), b = Write("b", SmallModel(20), 3);
  const std::string text = Diff(a, b, &same_);
  EXPECT_TRUE(same_) << text;
  EXPECT_THAT(text, HasSubstr("item  equal, 300 rows\n"));
  EXPECT_THAT(text, HasSubstr("all  2 tensors equal\n"));
  EXPECT_THAT(text, Not(HasSubstr("cursor")));
  EXPECT_THAT(text, HasSubstr("\nequal\n"));
}

TEST_F(CheckpointDiff, ADeltaIsTheModelItMakesWithItsBase) {
  const CheckpointName base{10, 1};
  CheckpointModel older = SmallModel(10), newer = older;
  newer.cursor.set_step(20);
  for (auto& [key, row] : newer.tables[0].rows) {
    if (key % 3 == 0) row.weights[1] += 1, row.last_step = 15;
  }
  Write("a", older, 2);
  const std::string delta = Write("a", newer, 3, &base), full = Write("b", newer, 1);
  const std::string text = Diff(delta, full, &same_);
  EXPECT_TRUE(same_) << text;
  Diff(delta, dir_.Join("a/step-00000010.1"), &same_);
  EXPECT_FALSE(same_);
}

TEST_F(CheckpointDiff, RowsThatDifferAreCountedAndTheLargestIsNamed) {
  const CheckpointModel model = SmallModel(20);
  CheckpointModel other = model;
  auto& rows = other.tables[0].rows;
  rows.erase(0);
  rows.erase(1'000'003);
  rows[77] = rows.at(5 * 1'000'003);
  rows.at(7 * 1'000'003).weights[2] += 0.5f;
  rows.at(8 * 1'000'003).weights[0] -= 2;
  rows.at(9 * 1'000'003).state[3] += 1;
  rows.at(9 * 1'000'003).last_step += 1;
  rows.at(10 * 1'000'003).occurrences += 1;
  rows.at(11 * 1'000'003).samples += 1;
  const std::string text = Diff(Write("a", model, 2), Write("b", other, 1), &same_);
  EXPECT_FALSE(same_);
  EXPECT_THAT(text,
              HasSubstr("item  293 rows equal, 5 differ, 2 only in A, 1 only in B; rows that "
                        "differ in weights 2, state 1, occurrences 1, samples 1, last_step 1; "
                        "largest difference of weights 2 (key 8000024)\n"));
  EXPECT_THAT(text, HasSubstr("user  equal, 50 rows\n"));
  EXPECT_THAT(text, HasSubstr("they differ\n"));
}

TEST_F(CheckpointDiff, OneSideOfANanIsInfinitelyFar) {
  CheckpointModel other = SmallModel(20);
  other.tables[0].rows.at(0).weights[0] = std::numeric_limits<float>::quiet_NaN();
  const std::string a = Write("a", SmallModel(20), 1), b = Write("b", other, 1);
  EXPECT_THAT(Diff(a, b, &same_), HasSubstr("largest difference of weights inf (key 0)"));
  EXPECT_THAT(Diff(b, b, &same_), HasSubstr("\nequal\n"));
}

TEST_F(CheckpointDiff, TablesTensorsCursorAndConfig) {
  const CheckpointModel model = SmallModel(20);
  CheckpointModel other = model;
  other.tables[1].name = "brand";
  for (auto& [key, row] : other.tables[0].rows) row.weights.resize(2), row.state.resize(2);
  other.tables[0].dim = 2;
  other.dense[0].values[4] += 0.125f;
  other.dense[1].name = "mlp.1.bias";
  other.cursor.set_rows(9);
  other.config = "data {\n  train: \"e.parquet\"\n}\ntables {\n  name: \"item\"\n  dim: 2\n}\n";
  const std::string text = Diff(Write("a", model, 1), Write("b", other, 1), &same_);
  EXPECT_FALSE(same_);
  EXPECT_THAT(text, HasSubstr("item   dim 4 in A, 2 in B; rows not compared\n"));
  EXPECT_THAT(text, HasSubstr("user   only in A, 50 rows\n"));
  EXPECT_THAT(text, HasSubstr("brand  only in B, 50 rows\n"));
  EXPECT_THAT(text, HasSubstr("mlp.0.weight  1 of 6 values differ; largest difference 0.125 at [1, "
                              "1]\n"));
  EXPECT_THAT(text, HasSubstr("mlp.0.bias    only in A, [1, 3]\n"));
  EXPECT_THAT(text, HasSubstr("mlp.1.bias    only in B, [1, 3]\n"));
  EXPECT_THAT(text, HasSubstr("cursor\n  rows  0 in A, 9 in B\n"));
  EXPECT_THAT(text, HasSubstr("  - data.train: \"d.parquet\"\n  + data.train: \"e.parquet\"\n"
                              "  - tables.dim: 4\n  + tables.dim: 2\n"));
}

TEST_F(CheckpointDiff, ConfigAloneDoesNotCount) {
  CheckpointModel other = SmallModel(20);
  other.config += "seed: 7\n";
  const std::string text = Diff(Write("a", SmallModel(20), 1), Write("b", other, 1), &same_);
  EXPECT_TRUE(same_);
  EXPECT_THAT(text, HasSubstr("+ seed: 7\n"));
}

// What small tables never do: several blocks of partitions.
TEST_F(CheckpointDiff, BlockAfterBlockIsTheSame) {
  CheckpointModel other = SmallModel(20);
  other.tables[0].rows.erase(0);
  other.tables[0].rows.at(1'000'003).samples = 99;
  const auto a = CheckpointReader::Open(fs_, Write("a", SmallModel(20), 2));
  const auto b = CheckpointReader::Open(fs_, Write("b", other, 3));
  ASSERT_TRUE(a.ok() && b.ok());
  TableEntry table = (*a)->manifest().tables(0);
  table.set_rows(100'000'000);
  ASSERT_LT(PartitionsOfBlock(table), 2'000u);
  const auto diff = DiffTable(**a, table, **b, table);
  ASSERT_TRUE(diff.ok()) << diff.status().ToString();
  EXPECT_EQ(diff->only_a, 1);
  EXPECT_EQ(diff->only_b, 0);
  EXPECT_EQ(diff->equal, 298);
  EXPECT_EQ(diff->differ, 1);
  std::vector<uint64_t> mixed;
  const Status read =
      ForEachRowInOrder(**a, table, 0, kPartitions, [&](const RowView& row) -> Status {
        mixed.push_back(Mix64(row.key.value));
        return {};
      });
  ASSERT_TRUE(read.ok()) << read.ToString();
  EXPECT_EQ(mixed.size(), 300u);
  EXPECT_TRUE(std::is_sorted(mixed.begin(), mixed.end()));
}

TEST(DiffConfigs, TellsOnlyLinesThatDifferInTheirOrder) {
  EXPECT_THAT(DiffConfigs("a: 1\n", "a: 1\n"), IsEmpty());
  EXPECT_THAT(DiffConfigs("", "a: 1\n"), ElementsAre("+ a: 1"));
  EXPECT_THAT(
      DiffConfigs("a: 1\nm {\n  b: 2\n  c: 3\n}\nd: 4\n", "a: 1\nm {\n  c: 3\n  e: 5\n}\nd: 4\n"),
      ElementsAre("- m.b: 2", "+ m.e: 5"));
}

TEST(DiffConfigs, LongOnesAreToldWhole) {
  std::string a, b;
  for (int i = 0; i < 5000; ++i) {
    a += "x: " + std::to_string(i) + "\n";
    b += "y: " + std::to_string(i) + "\n";
  }
  EXPECT_EQ(DiffConfigs("s: 1\n" + a, "s: 1\n" + b).size(), 10'000u);
}

}  // namespace
}  // namespace trestle
