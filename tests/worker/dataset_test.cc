// Opening files: everything wrong is said at once, and no cut of a file goes unnoticed.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "tests/worker/input_fixture.h"

namespace trestle {
namespace {

using testing::HasSubstr;

class Datasets : public testing::Test {
 protected:
  static std::vector<FileColumn> Columns(int64_t rows, int64_t salt = 0) {
    std::vector<int64_t> labels, ids;
    for (int64_t i = 0; i < rows; ++i) {
      labels.push_back(i % 2);
      ids.push_back(i + salt);
    }
    return {{"y", Int64s(labels)}, {"id", Int64s(ids)}};
  }
  std::string Error(const std::vector<std::string>& names, StatusCode code) {
    std::vector<std::string> patterns;
    for (const std::string& name : names) patterns.push_back(dir_.Join(name));
    const Status status = Open(schema_, patterns).status();
    EXPECT_EQ(status.code(), code) << status.ToString();
    return status.ToString();
  }

  TempDir dir_;
  Schema schema_ = SchemaOf(R"(label: "y")", R"(id { columns: "id" })");
};

TEST_F(Datasets, KnowTheBlocksOfAllFilesInOrder) {
  WriteParquet(dir_.Join("b.parquet"), Columns(10), 4);
  WriteIpc(dir_.Join("a.arrow"), Columns(5), 3);
  const auto dataset = MustOpen(schema_, {dir_.Join("*.parquet"), dir_.Join("*.arrow")});
  ASSERT_EQ(dataset->files().size(), 2u);
  EXPECT_EQ(dataset->files()[0].path, dir_.Join("b.parquet"));
  EXPECT_EQ(dataset->files()[0].block_rows, (std::vector<int64_t>{4, 4, 2}));
  EXPECT_EQ(dataset->files()[1].block_rows, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(dataset->rows(), 15);
  EXPECT_EQ(dataset->blocks(), 5);
}

TEST_F(Datasets, AllProblemsOfAllFilesAreListedAtOnce) {
  WriteParquet(dir_.Join("types.parquet"),
               {{"y", Values("string", R"(["0"])")}, {"id", Values("double", "[1]")}}, 10);
  WriteParquet(dir_.Join("missing.parquet"), {{"y", Int64s({1})}, {"other", Int64s({1})}}, 10);
  dir_.Write("x.csv", "y,id\n0,1\n");
  dir_.Write("empty.parquet", "");
  std::filesystem::create_directories(dir_.Join("folder"));
  const std::string text = Error({"types.parquet", "missing.parquet", "x.csv", "empty.parquet",
                                  "gone-*.parquet", "folder", "types.*"},
                                 StatusCode::kInvalidData);
  EXPECT_THAT(text, HasSubstr("types.parquet: column \"y\" is string; a label must be"));
  EXPECT_THAT(text, HasSubstr("types.parquet: column \"id\" is double; an id must be"));
  EXPECT_THAT(text, HasSubstr("missing.parquet: column \"id\" is missing; the file has y, other"));
  EXPECT_THAT(text, HasSubstr("x.csv: is neither Parquet nor an Arrow IPC file"));
  EXPECT_THAT(text, HasSubstr("empty.parquet: is empty (0 bytes)"));
  EXPECT_THAT(text, HasSubstr("gone-*.parquet: no such file"));
  EXPECT_THAT(text, HasSubstr("folder: is not a file"));
  EXPECT_THAT(text, HasSubstr("types.parquet: named twice"));
}

TEST_F(Datasets, OneFileUnderTwoSpellingsIsRefused) {
  WriteParquet(dir_.Join("a"), Columns(10), 5);
  std::filesystem::create_directories(dir_.Join("sub"));
  std::filesystem::create_symlink("a", dir_.Join("link"));
  for (const char* other : {"./a", "sub/../a", "link"}) {
    EXPECT_THAT(
        Error({"a", other}, StatusCode::kInvalidData),
        HasSubstr(dir_.Join(other) + ": is the same file as " + dir_.Join("a") + ", by \""));
  }
  WriteParquet(dir_.Join("sub/a"), Columns(10), 5);
  EXPECT_EQ(MustOpen(schema_, {dir_.Join("a"), dir_.Join("sub/a")})->rows(), 20);
}

TEST_F(Datasets, AMissingFileIsNotFound) {
  EXPECT_THAT(Error({"gone.parquet"}, StatusCode::kNotFound),
              HasSubstr("gone.parquet: no such file"));
}

TEST_F(Datasets, NoRowsAtAllIsAnError) {
  WriteParquet(dir_.Join("a"), Columns(0), 4);
  WriteIpc(dir_.Join("b"), Columns(0), 4);
  EXPECT_THAT(Error({"*"}, StatusCode::kInvalidData), HasSubstr("no rows in 2 files"));
}

TEST_F(Datasets, LargeRowGroupsAreRefusedWithTheCure) {
  WriteParquet(dir_.Join("just"), Columns(kMaxBlockRows), kMaxBlockRows);
  EXPECT_TRUE(Open(schema_, {dir_.Join("just")}).ok());
  WriteParquet(dir_.Join("large"), Columns(kMaxBlockRows + 1), kMaxBlockRows + 1);
  WriteIpc(dir_.Join("batch"), Columns(kMaxBlockRows + 1), kMaxBlockRows + 1);
  const std::string text = Error({"large", "batch"}, StatusCode::kInvalidData);
  EXPECT_THAT(text, HasSubstr("large, row group 0: has 65537 rows, at most 65536 are allowed"));
  EXPECT_THAT(text, HasSubstr("batch, record batch 0: has 65537 rows"));
  EXPECT_THAT(text, HasSubstr("`trestle prepare import` makes smaller ones"));
}

TEST_F(Datasets, ATableIsFedWithOneKindOfKeys) {
  schema_ =
      SchemaOf(R"(label: "y")", R"(id { columns: "id" } sequence { columns: "h" like: "id" })");
  WriteParquet(
      dir_.Join("f"),
      {{"y", Int64s({0})}, {"id", Int64s({1})}, {"h", Values("list<string>", R"([["1"]])")}}, 10);
  EXPECT_THAT(Error({"f"}, StatusCode::kInvalidData),
              HasSubstr("column \"h\" holds strings and does not fit"));
}

TEST_F(Datasets, FingerprintsFollowTheContentAndNotTheFolder) {
  const auto fingerprint = [&](const std::string& path) {
    return MustOpen(schema_, {dir_.Join(path)})->Fingerprint();
  };
  std::filesystem::create_directories(dir_.Join("x"));
  std::filesystem::create_directories(dir_.Join("z"));
  for (const bool parquet : {true, false}) {
    const auto write = parquet ? WriteParquet : WriteIpc;
    write(dir_.Join("x/f"), Columns(10), 5);
    write(dir_.Join("z/f"), Columns(10), 5);
    EXPECT_EQ(fingerprint("x/f"), fingerprint("z/f"));
    write(dir_.Join("z/f"), Columns(10), 6);
    EXPECT_NE(fingerprint("x/f"), fingerprint("z/f"));
    write(dir_.Join("z/g"), Columns(10), 5);
    EXPECT_NE(fingerprint("x/f"), fingerprint("z/g"));
  }
  WriteParquet(dir_.Join("x/f"), Columns(10, 0), 5);
  WriteParquet(dir_.Join("z/f"), Columns(10, 1), 5);  // the statistics in the footer differ
  EXPECT_NE(fingerprint("x/f"), fingerprint("z/f"));
}

// A cut file has lost its footer, wherever it was cut.
TEST_F(Datasets, AFileCutAtAnyByteIsAClearError) {
  for (const bool parquet : {true, false}) {
    const std::string whole = dir_.Join("whole");
    (parquet ? WriteParquet : WriteIpc)(whole, Columns(2), 2);
    const std::string bytes = FileSystem::Local().Read(whole).value();
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      const std::string path = dir_.Write("cut", std::string_view(bytes).substr(0, cut));
      const Status status = Open(schema_, {path}).status();
      ASSERT_EQ(status.code(), StatusCode::kInvalidData) << cut << ": " << status.ToString();
      ASSERT_THAT(status.ToString(), HasSubstr(path + ": "));
      ASSERT_EQ(status.ToString().find('\n'), std::string::npos) << status.ToString();
    }
  }
}

// Damage behind the footer shows when the block is read, as an error and not as a crash. (Values
// that merely changed cannot be told: Parquet has checksums only where the writer wrote them.)
TEST_F(Datasets, ADamagedBlockIsAnErrorOrAnotherValue) {
  const std::string whole = dir_.Join("whole");
  WriteParquet(whole, Columns(50), 50);
  const std::string bytes = FileSystem::Local().Read(whole).value();
  int errors = 0;
  for (size_t at = 4; at + 8 < bytes.size(); at += 7) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x5A);
    const auto dataset = Open(schema_, {dir_.Write("damaged", damaged)});
    if (!dataset.ok()) {
      ++errors;
      continue;
    }
    if ((*dataset)->blocks() == 0) continue;
    const auto block = (*dataset)->ReadBlock(0, {}, {});
    if (block.ok()) continue;
    ++errors;
    EXPECT_THAT(block.status().ToString(), HasSubstr("damaged, row group 0: "));
  }
  EXPECT_GT(errors, 0);
}

TEST_F(Datasets, StatisticsDoNotDependOnHowBlocksAreShared) {
  schema_ = SchemaOf(R"(label: "y")", R"(numeric { columns: "n" }
      numeric { columns: "l" transform: LOG1P missing: 7 })");
  std::vector<double> n;
  double sum = 0, squares = 0;
  for (int i = 0; i < 101; ++i) n.push_back(std::sin(i) * 100 + 1e4);
  for (const double x : n) sum += x;
  for (const double x : n) squares += (x - sum / 101) * (x - sum / 101);
  std::string l = "[null";
  for (int i = 1; i < 101; ++i) l += ", " + std::to_string(i % 2 ? i : -i);
  WriteParquet(dir_.Join("f"),
               {{"y", Int64s(std::vector<int64_t>(101))},
                {"n", Doubles(n)},
                {"l", Values("int32", l + "]")}},
               10);
  const auto dataset = MustOpen(schema_, {dir_.Join("f")});
  const auto merge = [&](const std::vector<int64_t>& splits) {
    std::vector<NumericStatistics> merged(2);
    for (size_t i = 0; i + 1 < splits.size(); ++i) {
      const auto part = dataset->BlockStatistics(splits[i], splits[i + 1]);
      EXPECT_TRUE(part.ok());
      for (const auto& block : *part) {
        for (size_t c = 0; c < 2; ++c) merged[c] = MergeStatistics(merged[c], block[c]);
      }
    }
    return merged;
  };
  const auto whole = merge({0, 11});
  EXPECT_EQ(whole[0].count, 101);
  EXPECT_NEAR(whole[0].mean, sum / 101, 1e-9);
  EXPECT_NEAR(whole[0].std, std::sqrt(squares / 101), 1e-9);
  EXPECT_EQ(whole[0].min, *std::min_element(n.begin(), n.end()));
  EXPECT_EQ(whole[0].max, *std::max_element(n.begin(), n.end()));
  EXPECT_EQ(whole[1].count, 101);
  EXPECT_EQ(whole[1].min, -std::log1p(100));
  EXPECT_EQ(whole[1].max, std::log1p(99));
  for (const auto& splits : std::vector<std::vector<int64_t>>{{0, 4, 11}, {0, 0, 1, 7, 11, 11}}) {
    const auto parts = merge(splits);
    for (size_t c = 0; c < 2; ++c) {
      EXPECT_EQ(parts[c].mean, whole[c].mean);
      EXPECT_EQ(parts[c].std, whole[c].std);
    }
  }
}

TEST_F(Datasets, NumbersAreTransformedThenScaled) {
  schema_ = SchemaOf(R"(label: "y")", R"(
      numeric { columns: "a" scale: STANDARD }  numeric { columns: "b" scale: MIN_MAX }
      numeric { columns: "c" transform: LOG1P }  numeric { columns: "k" scale: STANDARD }
      numeric { columns: "m" scale: MIN_MAX missing: 5 })");
  WriteParquet(dir_.Join("f"),
               {{"y", Int64s({0, 1})},
                {"a", Doubles({1, 3})},
                {"b", Doubles({10, 30})},
                {"c", Doubles({-3, 0})},
                {"k", Doubles({4, 4})},
                {"m", Values("int8", "[null, 1]")}},
               10);
  const auto dataset = MustOpen(schema_, {dir_.Join("f")});
  PlanOptions plan = WholePlan(10, 1);
  plan.statistics = dataset->BlockStatistics(0, 1).value()[0];
  EXPECT_EQ(plan.statistics[0].mean, 2);
  EXPECT_EQ(plan.statistics[0].std, 1);
  const auto log4 = static_cast<float>(std::log1p(3.0));
  EXPECT_THAT(ReadInOrder(*dataset, plan).numeric,
              testing::ElementsAre(-1, 0, -log4, 0, 1, 1, 1, 0, 0, 0));
}

// Its square is infinite: the deviation would be, and every row of the column 0.
TEST_F(Datasets, AHugeCellIsABadRowAndNotPartOfTheStatistics) {
  schema_ = SchemaOf(R"(label: "y")", R"(
      numeric { columns: "a" scale: STANDARD }  numeric { columns: "b" scale: MIN_MAX }
      numeric { columns: "c" transform: LOG1P scale: STANDARD })");
  WriteParquet(dir_.Join("f"),
               {{"y", Int64s({0, 1, 0, 1})},
                {"a", Doubles({1, 1e300, 3, 2})},
                {"b", Doubles({10, 20, 30, -1e39})},
                {"c", Doubles({0, 0, 1e300, 0})}},
               10);
  const auto dataset = MustOpen(schema_, {dir_.Join("f")});
  PlanOptions plan = WholePlan(10, 1);
  plan.statistics = dataset->BlockStatistics(0, 1).value()[0];
  EXPECT_EQ(plan.statistics[0].count, 3);
  EXPECT_EQ(plan.statistics[0].mean, 2);
  EXPECT_EQ(plan.statistics[1].min, 10);
  EXPECT_EQ(plan.statistics[1].max, 30);
  EXPECT_EQ(plan.statistics[2].count, 4);  // log1p(1e300) is 691
  std::string first;
  const auto steps = ReadAll(*dataset, plan, nullptr, &first);
  EXPECT_EQ(steps[0][0].rows, 2);
  EXPECT_EQ(steps[0][0].rejected, 2);
  EXPECT_THAT(first, HasSubstr("row 1: a 1e+300 does not fit a float"));
  EXPECT_LT(steps[0][0].numeric[0], -1);
  EXPECT_EQ(steps[0][0].numeric[1], 0);
  EXPECT_EQ(steps[0][0].numeric[4], 1);
}

TEST_F(Datasets, StatisticsThatAreNotFiniteAreRefused) {
  schema_ = SchemaOf(R"(label: "y")", R"(numeric { columns: "a" scale: STANDARD })");
  WriteParquet(dir_.Join("f"), {{"y", Int64s({0, 1})}, {"a", Doubles({1, 2})}}, 10);
  const auto dataset = MustOpen(schema_, {dir_.Join("f")});
  PlanOptions plan = WholePlan(10, 1);
  plan.statistics = dataset->BlockStatistics(0, 1).value()[0];
  EXPECT_TRUE(OpenLanes(*dataset, plan, FileSystem::Local()).ok());
  plan.statistics[0].std = std::numeric_limits<double>::infinity();
  const Status status = OpenLanes(*dataset, plan, FileSystem::Local()).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidData);
  EXPECT_THAT(status.ToString(), HasSubstr("column \"a\": its mean 1.500000, deviation inf"));
}

TEST(Ledger, RowsAndFilesHashApart) {
  std::set<uint64_t> seen;
  for (uint64_t file = 0; file < 30; ++file) {
    for (uint64_t row = 0; row < 300; ++row) seen.insert(LedgerHash(file, row));
  }
  EXPECT_EQ(seen.size(), 9000u);
}

}  // namespace
}  // namespace trestle
