#include "worker/prediction_file.h"

#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "tests/support/fault_filesystem.h"
#include "tests/worker/input_fixture.h"
#include "worker/request_ranks.h"
#include "worker/waiting_rows.h"

namespace trestle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Seven rows in three blocks, of two requests; the bid of one is missing.
class PredictionFileTest : public ::testing::Test {
 protected:
  PredictionFileTest() {
    WriteParquet(dir_.Join("a.parquet"),
                 {{"user", Values("string", R"(["a", "b, c", null, "d", "e"])")},
                  {"small", Values("int8", "[1, 2, 3, 4, 5]")},
                  {"bid", Values("double", "[0.5, 0.5, 2, null, 1]")},
                  {"request", Values("int64", "[7, 7, 7, 8, 8]")},
                  {"hist", Values("list<int64>", "[[1, 2], [], [3], [4], [5]]")}},
                 2);
    WriteParquet(dir_.Join("b.parquet"),
                 {{"user", Values("string", R"(["f", "g"])")},
                  {"small", Values("int64", "[6, 7]")},
                  {"bid", Values("double", "[1, 1]")},
                  {"request", Values("int64", "[8, 7]")},
                  {"hist", Values("list<int64>", "[[6], [7]]")}},
                 2);
    options_.columns = {{"row", ""}};
  }

  std::vector<InputFile> Input() const {
    return MustOpen(
               SchemaOf(R"(label: "small" positive_from: 1)", R"(id { columns: "user" dim: 4 })"),
               {dir_.Join("a.parquet"), dir_.Join("b.parquet")})
        ->files();
  }

  // Row 2 is rejected; predictions are 1/2 but for row 1, which has 3/4.
  static PredictedRows Rows() {
    PredictedRows rows;
    rows.accepted = {1, 1, 0, 1, 1, 1, 1};
    rows.logits = {0, std::log(3.0f), 0, 0, 0, 0};
    rows.attention = {{{2, 0, 1, 1, 1, 1}, {0.5f, 0.25f, 1, 2, 3, 4}}};
    rows.embeddings = {{1, 2, 3, 4, 5, 6}};
    return rows;
  }

  Status Write(FileSystem& fs, const PredictedRows& rows) const {
    TRESTLE_ASSIGN_OR_RETURN(const auto file, CreatePredictionFile(fs, Input(), options_));
    TRESTLE_RETURN_IF_ERROR(file->Append(rows));
    return file->Commit();
  }

  std::string Csv() {
    options_.path = dir_.Join("out.csv");
    const Status status = Write(FileSystem::Local(), Rows());
    EXPECT_TRUE(status.ok()) << status.ToString();
    return FileSystem::Local().Read(options_.path).value();
  }

  const TempDir dir_{"prediction_file"};
  PredictionFileOptions options_;
};

TEST_F(PredictionFileTest, ColumnsGoAlongAndRejectedRowsHaveNulls) {
  options_.columns = {{"row", ""}, {"user", "user"}, {"small", "small"}, {"hist", "hist"}};
  const std::string csv = Csv();
  EXPECT_THAT(csv, HasSubstr("\n0,\"a\",1,\"1|2\",0,0.5\n"));
  EXPECT_THAT(csv, HasSubstr("\n1,\"b, c\",2,\"\",1.0986123,0.75"));
  EXPECT_THAT(csv, HasSubstr("\n2,,3,\"3\",,\n"));
  EXPECT_THAT(csv, HasSubstr("\n6,\"g\",7,\"7\",0,0.5\n"));
}

TEST_F(PredictionFileTest, RanksByEcpmInTheRequestTheEarlierOfEqualOnesFirst) {
  options_.bid = "bid";
  options_.request = "request";
  const std::string csv = Csv();
  // Request 7: rows 0 (250), 1 (375), 6 (500); request 8: rows 4 and 5, equal.
  EXPECT_THAT(csv, HasSubstr("\n0,0,0.5,250,3\n"));
  EXPECT_THAT(csv,
              HasSubstr(",2\n2,,,,\n3,0,0.5,,\n4,0,0.5,500,1\n5,0,0.5,500,2\n6,0,0.5,500,1\n"));
  options_.bid = "";  // then by prediction: row 1 is first, 0 and 6 are equal
  EXPECT_THAT(Csv(), HasSubstr("\n0,0,0.5,2\n1,1.0986123,0.75"));
}

TEST_F(PredictionFileTest, ListsOfAttentionAndEmbeddings) {
  options_.attention = {"hist"};
  options_.embeddings = {{"hidden", 1}};
  const std::string csv = Csv();
  EXPECT_THAT(csv, HasSubstr("\"attention_hist\",\"embedding_hidden\"\n"
                             "0,0,0.5,\"0.5|0.25\",\"1\"\n"));
  EXPECT_THAT(csv, HasSubstr("\n2,,,,\n3,0,0.5,\"1\",\"3\"\n"));
}

TEST_F(PredictionFileTest, ParquetIsReadInPlaceAndIsTheSameHoweverRowsCome) {
  options_.columns = {{"user", "user"}};
  options_.path = dir_.Join("out.parquet");
  ASSERT_TRUE(Write(FileSystem::Local(), Rows()).ok());
  const std::string bytes = FileSystem::Local().Read(options_.path).value();
  const Schema schema =
      SchemaOf(R"(label: "prediction" positive_from: 0.6)", R"(id { columns: "user" dim: 4 })");
  EXPECT_EQ(MustOpen(schema, {options_.path})->rows(), 7);

  auto file = CreatePredictionFile(FileSystem::Local(), Input(), options_);
  ASSERT_TRUE(file.ok());
  size_t accepted = 0;
  for (size_t i = 0; i < 7; ++i) {
    const PredictedRows all = Rows();
    PredictedRows one;
    one.accepted = {all.accepted[i]};
    if (all.accepted[i]) one.logits = {all.logits[accepted++]};
    ASSERT_TRUE((*file)->Append(one).ok());
  }
  ASSERT_TRUE((*file)->Commit().ok());
  EXPECT_EQ((*file)->rows(), 7);
  EXPECT_NEAR((*file)->mean_prediction(), 3.25 / 6, 1e-7);
  EXPECT_TRUE(FileSystem::Local().Read(options_.path).value() == bytes);
}

TEST_F(PredictionFileTest, WhatIsWrongIsSaid) {
  const auto refused = [&](StatusCode code) {
    options_.path = dir_.Join("out.csv");
    const auto file = CreatePredictionFile(FileSystem::Local(), Input(), options_);
    EXPECT_EQ(file.status().code(), code);
    EXPECT_FALSE(FileSystem::Local().Exists(options_.path));
    return file.status().ToString();
  };
  options_.columns = {{"usr", "usr"}};
  EXPECT_THAT(refused(StatusCode::kInvalidData),
              HasSubstr("a.parquet has no such column; did you mean \"user\"? the file has user,"));
  options_.columns = {{"user", "user"}, {"user", "user"}};
  EXPECT_THAT(refused(StatusCode::kInvalidConfig),
              HasSubstr("--columns user: the output would have two columns of this name"));
  options_.columns = {{"row", ""}};
  options_.bid = "user";
  EXPECT_THAT(refused(StatusCode::kInvalidConfig),
              HasSubstr("--bid user: the column is string; a numeric feature must be an integer"));
  options_.bid = "";
  options_.request = "bid";
  EXPECT_THAT(refused(StatusCode::kInvalidConfig),
              HasSubstr("--request bid: the column is double"));
  options_.request = "";
  const std::vector<InputFile> input = Input();
  WriteParquet(dir_.Join("b.parquet"), {{"user", Values("int64", "[6, 7]")}}, 2);
  options_.columns = {{"user", "user"}};
  const auto mixed = CreatePredictionFile(FileSystem::Local(), input, options_);
  EXPECT_THAT(mixed.status().ToString(),
              HasSubstr("b.parquet: is int64, and string in the files before it"));
  options_.columns = {{"row", ""}};
  PredictedRows rows = Rows();
  rows.logits[2] = std::numeric_limits<float>::quiet_NaN();
  const auto file = CreatePredictionFile(FileSystem::Local(), input, options_);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_THAT((*file)->Append(rows).ToString(),
              HasSubstr("the prediction of row 3 of the input is not finite"));
}

TEST_F(PredictionFileTest, TheOutputIsNoInputAndHasAFolder) {
  const auto check = [&](const std::string& path, bool force) {
    return CheckPredictionPath(FileSystem::Local(), path, force, {dir_.Join("a*")}).ToString();
  };
  EXPECT_THAT(
      check("x.txt", false),
      HasSubstr("--output x.txt: must end in .parquet or .csv, which says what is written"));
  EXPECT_THAT(
      check(dir_.Join("b.parquet"), false),
      HasSubstr("b.parquet: exists; choose another --output, or overwrite it with --force"));
  EXPECT_EQ(check(dir_.Join("b.parquet"), true), Status().ToString());
  EXPECT_EQ(check("new.csv", false), Status().ToString());
  for (const std::string same : {"./a.parquet", "link.parquet"}) {
    std::error_code there;
    std::filesystem::create_symlink(dir_.Join("a.parquet"), dir_.Join("link.parquet"), there);
    EXPECT_THAT(check(dir_.Join(same), true), HasSubstr("a.parquet; choose another file"));
  }
  EXPECT_THAT(
      check(dir_.Join("none/o.csv"), true),
      HasSubstr("/none/o.csv: there is no folder " + dir_.Join("none") + "; make it first"));
  EXPECT_THAT(WaitingRows::Create(dir_.Join("none"), arrow::schema({})).status().ToString(),
              HasSubstr("cannot create a file in " + dir_.Join("none")));
}

TEST_F(PredictionFileTest, RowsThatAreNotTheInputsAreRefused) {
  options_.path = dir_.Join("out.csv");
  for (const size_t rows : {6u, 8u}) {
    PredictedRows some;
    some.accepted.assign(rows, 0);
    const Status status = Write(FileSystem::Local(), some);
    EXPECT_EQ(status.code(), StatusCode::kInternal) << status.ToString();
    EXPECT_FALSE(FileSystem::Local().Exists(options_.path));
  }
}

// Files of the user's own stay, whatever their names.
TEST_F(PredictionFileTest, RowsThatWaitForTheirRanksLeaveOtherFilesAlone) {
  options_.request = "request";
  const std::string rows = dir_.Write("out.csv.rows", "mine");
  Csv();
  EXPECT_EQ(FileSystem::Local().Read(rows).value(), "mine");
}

TEST_F(PredictionFileTest, CsvHoldsNoListsOfLists) {
  for (const char* name : {"a.parquet", "b.parquet"}) {
    WriteParquet(dir_.Join(name),
                 {{"user", Values("string", R"(["a", "b"])")},
                  {"small", Values("int64", "[6, 7]")},
                  {"deep", Values("list<list<int64>>", "[[[1]], []]")}},
                 2);
  }
  options_.columns = {{"deep", "deep"}};
  PredictedRows rows;
  rows.accepted = {0, 0, 0, 0};
  options_.path = dir_.Join("out.csv");
  EXPECT_THAT(Write(FileSystem::Local(), rows).ToString(),
              HasSubstr("out.csv: CSV cannot hold a column ("));
  options_.path = dir_.Join("out.parquet");
  EXPECT_TRUE(Write(FileSystem::Local(), rows).ok());
}

TEST_F(PredictionFileTest, ADiskThatFailsAnywhereLeavesNothingBehind) {
  options_.bid = "bid";
  options_.request = "request";
  for (const char* name : {"out.csv", "out.parquet"}) {
    options_.path = dir_.Join(name);
    for (int64_t call = 1;; ++call) {
      FaultFileSystem fs(FileSystem::Local(), {.fail_call = call, .only_once = true});
      const Status status = Write(fs, Rows());
      std::error_code ignored;
      std::filesystem::remove(options_.path, ignored);
      if (fs.calls() < call) break;
      EXPECT_THAT(status.ToString(), HasSubstr("injected failure"));
      for (const auto& file : std::filesystem::directory_iterator(dir_.path())) {
        EXPECT_EQ(file.path().filename().string().size(), 9u) << file.path();  // a.parquet
      }
    }
  }
  FaultFileSystem full(FileSystem::Local(), {.capacity = 50});
  options_.path = dir_.Join("full.csv");
  EXPECT_THAT(Write(full, Rows()).ToString(), HasSubstr("no space left (injected)"));
  EXPECT_FALSE(FileSystem::Local().Exists(options_.path));
}

TEST(RequestRanks, CountsFromOneInEachRequestAndSkipsRowsWithout) {
  RequestRanks ranks;
  ranks.Add(5, 1);
  ranks.Add(6, -1);
  ranks.AddNone();
  ranks.Add(5, 2);
  ranks.Add(5, 1);
  EXPECT_THAT(ranks.Take(), ElementsAre(2, 1, 0, 1, 3));
}

}  // namespace
}  // namespace trestle
