#include "launcher/prepare/taobao.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <signal.h>

#include <set>
#include <sstream>

#include "launcher/prepare/duckdb.h"
#include "launcher/prepare/sql_steps.h"
#include "launcher/synth/taobao.h"
#include "tests/launcher/taobao_naive.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

FileSystem& Local() { return FileSystem::Local(); }

// Raw files of 6,000 impressions, made once.
const std::string& Raw() {
  static const TempDir* dir = [] {
    auto* made = new TempDir("taobao_raw");
    TaobaoSettings settings;
    settings.rows = 6000;
    settings.behaviours = 60;
    settings.categories = 50;
    ThreadPool pool(1);
    const auto report = WriteTaobao(Local(), settings, made->path(), pool);
    CHECK(report.ok()) << report.status().ToString();
    std::atexit([] { delete dir; });
    return made;
  }();
  return dir->path();
}

PrepareTaobaoOptions Options(const TempDir& out) {
  PrepareTaobaoOptions options;
  options.raw = Raw();
  options.out = out.path();
  options.threads = 2;
  options.file_rows = 2000;
  return options;
}

Status Prepare(const PrepareTaobaoOptions& options, std::string* text = nullptr) {
  std::ostringstream out, progress;
  const Status status = PrepareTaobao(Local(), options, out, progress);
  if (text != nullptr) *text = out.str() + progress.str();
  return status;
}

std::vector<std::string> Files(const TempDir& out, const std::string& split) {
  return Local().Glob(out.Join(split + "/*.parquet")).value();
}

std::string Cell(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case arrow::Type::INT8:
      return std::to_string(static_cast<const arrow::Int8Array&>(array).Value(row));
    case arrow::Type::INT32:
      return std::to_string(static_cast<const arrow::Int32Array&>(array).Value(row));
    case arrow::Type::INT64:
      return std::to_string(static_cast<const arrow::Int64Array&>(array).Value(row));
    case arrow::Type::FLOAT:
      return std::to_string(static_cast<const arrow::FloatArray&>(array).Value(row));
    case arrow::Type::STRING:
      return static_cast<const arrow::StringArray&>(array).GetString(row);
    case arrow::Type::LIST: {
      const auto& list = static_cast<const arrow::ListArray&>(array);
      std::string text = "[";
      for (int64_t i = list.value_offset(row); i < list.value_offset(row + 1); ++i) {
        text.append(Cell(*list.values(), i)).push_back(' ');
      }
      text.push_back(']');
      return text;
    }
    default:
      return array.type()->ToString();
  }
}

// The rows of files as taobao_naive.h spells them, in order.
std::vector<std::string> RowsOf(const std::vector<std::string>& paths) {
  std::vector<std::string> rows;
  for (const std::string& path : paths) {
    std::unique_ptr<parquet::arrow::FileReader> reader =
        parquet::arrow::OpenFile(arrow::io::ReadableFile::Open(path).ValueOrDie(),
                                 arrow::default_memory_pool())
            .ValueOrDie();
    const auto batch = reader->ReadTable().ValueOrDie()->CombineChunksToBatch().ValueOrDie();
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      rows.emplace_back();
      for (int c = 0; c < batch->num_columns(); ++c) {
        EXPECT_EQ(batch->column(c)->null_count(), 0) << batch->column_name(c);
        if (c > 0) rows.back().push_back(',');
        rows.back().append(Cell(*batch->column(c), row));
      }
    }
  }
  return rows;
}

int64_t TimeOf(const std::string& row) {
  std::istringstream cells(row);
  std::string cell;
  for (int i = 0; i < 5; ++i) std::getline(cells, cell, ',');
  return std::stoll(cell);
}

std::vector<std::string> Sorted(std::vector<std::string> rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST(PrepareTaobao, EveryValueIsThatOfANaiveComputation) {
  const TempDir out;
  std::string text;
  const Status status = Prepare(Options(out), &text);
  ASSERT_TRUE(status.ok()) << status.ToString();
  std::vector<std::string> expected[2];
  for (const std::string& row : NaiveRows(Raw())) {
    expected[TimeOf(row) >= kTaobaoTestDay ? 1 : 0].push_back(row);
  }
  const auto train = RowsOf(Files(out, "train")), test = RowsOf(Files(out, "test"));
  ASSERT_GT(train.size(), 5000u);
  ASSERT_GT(test.size(), 600u);
  EXPECT_TRUE(Sorted(train) == Sorted(expected[0]));
  EXPECT_TRUE(Sorted(test) == Sorted(expected[1]));
  EXPECT_THAT(text, HasSubstr("\"train_rows\": " + std::to_string(train.size())));
}

TEST(PrepareTaobao, HandMadeRowsShowWhatStrictlyBeforeMeans) {
  const TempDir raw, out;
  raw.Write("raw_sample.csv",
            "user,time_stamp,adgroup_id,pid,nonclk,clk\n"
            "1,1494000100,7,430548_1007,1,0\n"  // behaviours of its own second do not count
            "1,1494000101,7,430548_1007,0,1\n"  // now they do
            "2,1494000100,8,,1,0\n"             // knows nothing: no behaviours, profile, ad, place
            "1,1494604800,7,430539_1007,1,0\n"  // the eighth day's first second
            "1,1493999999,7,430539_1007,1,0\n"  // the day before
            "1,1494691200,7,430539_1007,1,0\n");  // the day after
  raw.Write("ad_feature.csv",
            "adgroup_id,cate_id,campaign_id,customer,brand,price\n7,70,71,72,NULL,19.5\n");
  raw.Write("user_profile.csv",
            "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,"
            "shopping_level,occupation,new_user_class_level \n1,0,5,2,5,,3,0,\n");
  raw.Write("behavior_log.csv",
            "user,time_stamp,btag,cate,brand\n"
            "1,1494000100,pv,31,41\n"
            "1,1494000050,ipv,30,40\n"
            "1,1494000100,cart,31,41\n"
            "1,1494000050,ipv,30,40\n"  // twice, and counts twice
            "-4,1494000050,pv,99,99\n"  // of nobody in the samples
            ",1494000050,pv,99,99\n"
            "1,,pv,99,99\n"    // no time
            "1,-5,pv,99,99\n"  // no time
            "1,1494600000,buy,32,\n"
            "3,1494000050,hug,50,60\n");
  PrepareTaobaoOptions options = Options(out);
  options.raw = raw.path();
  options.buckets = 4;  // one of them holds nothing
  std::string text;
  const Status status = Prepare(options, &text);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(Sorted(RowsOf(Files(out, "train"))),
            Sorted({"0,1,7,430548_1007,1494000100,70,71,72,-1,19.500000,0,5,2,5,-1,3,0,-1,"
                    "[30 30 ],[40 40 ],[4 4 ]",
                    "1,1,7,430548_1007,1494000101,70,71,72,-1,19.500000,0,5,2,5,-1,3,0,-1,"
                    "[30 30 31 31 ],[40 40 41 41 ],[4 4 2 4 ]",
                    "0,2,8,?,1494000100,-1,-1,-1,-1,-1.000000,-1,-1,-1,-1,-1,-1,-1,-1,[],[],[]"}));
  EXPECT_EQ(RowsOf(Files(out, "test")),
            (std::vector<std::string>{
                "0,1,7,430539_1007,1494604800,70,71,72,-1,19.500000,0,5,2,5,-1,3,0,-1,"
                "[30 30 31 31 32 ],[40 40 41 41 -1 ],[4 4 2 4 1 ]"}));
  for (const char* count :
       {"\"train_rows\": 3", "\"test_rows\": 1", "\"clicks\": 1", "\"behaviours\": 8",
        "\"rows_without_history\": 1", "\"rows_without_profile\": 1", "\"rows_without_ad\": 1",
        "\"left_out_impressions_of_other_days\": 2", "\"left_out_behaviours_without_time\": 2"}) {
    EXPECT_THAT(text, HasSubstr(count));
  }
}

TEST(PrepareTaobao, SameBytesAtAnyMemoryThreadsAndBuckets) {
  for (const bool in_time_order : {false, true}) {
    std::map<std::string, std::string> first;
    for (const int64_t buckets : {1, 2, 7}) {
      const TempDir out;
      PrepareTaobaoOptions options = Options(out);
      options.in_time_order = in_time_order;
      options.buckets = buckets;
      options.threads = buckets == 2 ? 1 : 2;
      options.memory = buckets == 2 ? kPrepareLeastMemory : uint64_t{2} << 30;
      const Status status = Prepare(options);
      ASSERT_TRUE(status.ok()) << status.ToString();
      std::map<std::string, std::string> bytes;
      for (const char* split : {"train", "test"}) {
        for (const std::string& path : Files(out, split)) {
          bytes[path.substr(out.path().size())] = Local().Read(path).value();
        }
      }
      bytes["json"] = Local().Read(out.Join("prepared.json")).value();
      EXPECT_EQ(bytes.size(), 5u);  // 3 files to train, 1 to test
      if (first.empty()) first = bytes;
      EXPECT_TRUE(bytes == first) << buckets << " buckets";
    }
  }
}

TEST(PrepareTaobao, TimeOrderGoesOnFromFileToFile) {
  const TempDir out;
  PrepareTaobaoOptions options = Options(out);
  options.in_time_order = true;
  ASSERT_TRUE(Prepare(options).ok());
  const auto train = RowsOf(Files(out, "train"));
  EXPECT_EQ(Files(out, "train").size(), 3u);
  EXPECT_EQ(Sorted(train).size() + RowsOf(Files(out, "test")).size(), 6000u);
  EXPECT_TRUE(std::is_sorted(train.begin(), train.end(),
                             [](const auto& a, const auto& b) { return TimeOf(a) < TimeOf(b); }));
}

TEST(PrepareTaobao, ShuffledFilesEachHoldRowsOfMostUsersAndDays) {
  const TempDir out;
  ASSERT_TRUE(Prepare(Options(out)).ok());
  const auto files = Files(out, "train");
  ASSERT_EQ(files.size(), 3u);
  for (const std::string& file : files) {
    std::set<std::string> users;
    std::map<int64_t, int> days;
    int by_turns = 0;
    std::string last;
    for (const std::string& row : RowsOf({file})) {
      const std::string user = row.substr(2, row.find(',', 2) - 2);
      by_turns += user != last ? 1 : 0;
      users.insert(user);
      ++days[(TimeOf(row) - kTaobaoFirstImpression) / kTaobaoDay];
      last = user;
    }
    EXPECT_GT(users.size(), 220u) << "of 260";
    EXPECT_GT(by_turns, 1600);
    for (const auto& [day, rows] : days) EXPECT_NEAR(rows, 250, 80) << "day " << day;
  }
}

TEST(PrepareTaobao, RowGroupsAreSmall) {
  const TempDir raw, out;
  TaobaoSettings settings;
  settings.rows = 30'000;
  settings.behaviours = 5;
  ThreadPool pool(1);
  ASSERT_TRUE(WriteTaobao(Local(), settings, raw.path(), pool).ok());
  PrepareTaobaoOptions options = Options(out);
  options.raw = raw.path();
  options.file_rows = 262'144;
  ASSERT_TRUE(Prepare(options).ok());
  const auto metadata = parquet::ParquetFileReader::OpenFile(Files(out, "train").at(0))->metadata();
  EXPECT_EQ(metadata->num_row_groups(), 4);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(metadata->RowGroup(i)->num_rows(), 8192);
}

TEST(PrepareTaobao, ACompleteFolderIsPreparedAnewOnlyByForce) {
  const TempDir out;
  ASSERT_TRUE(Prepare(Options(out)).ok());
  EXPECT_THAT(Prepare(Options(out)).ToString(),
              HasSubstr("was prepared before (prepared.json tells what it holds)"));
  PrepareTaobaoOptions options = Options(out);
  options.force = true;
  std::string text;
  ASSERT_TRUE(Prepare(options, &text).ok());
  EXPECT_THAT(text, HasSubstr("begins anew; what an earlier call left is removed"));
  EXPECT_EQ(Local().List(out.path()).value(),
            (std::vector<std::string>{"lock", "prepared.json", "test", "train"}));
}

TEST(PrepareTaobao, WhatAKilledCallLeftIsRemovedAndOtherFilesAreNot) {
  const TempDir out;
  out.Write("lock", "of the killed call");
  out.Write("unfinished/scratch/behaviours/bucket=0/x.parquet", "half a file");
  out.Write("train/part-00000.parquet", "its test/ was never renamed");
  ASSERT_TRUE(Prepare(Options(out)).ok());
  EXPECT_EQ(RowsOf(Files(out, "train")).size() + RowsOf(Files(out, "test")).size(), 6000u);

  const TempDir home;
  home.Write("thesis.tex", "");
  EXPECT_THAT(Prepare(Options(home)).ToString(), HasSubstr("holds other files (thesis.tex)"));
  EXPECT_TRUE(Local().Exists(home.Join("thesis.tex")));

  const TempDir data;  // another program's
  data.Write("train/mine.parquet", "");
  EXPECT_THAT(Prepare(Options(data)).ToString(), HasSubstr("holds other files (train)"));
  EXPECT_TRUE(Local().Exists(data.Join("train/mine.parquet")));
}

TEST(PrepareTaobao, FoldersThatDuckDbTakesForPatternsAreRefused) {
  const TempDir dir;
  PrepareTaobaoOptions options = Options(dir);
  options.out = dir.Join("run[1]");
  EXPECT_THAT(Prepare(options).ToString(), HasSubstr("use a folder without them"));
}

// What prepare says of copies of the raw files, in one of which `from` became `to` once.
std::string SaidOf(const std::string& name, const std::string& from, const std::string& to) {
  const TempDir raw, out;
  for (const std::string file :
       {"raw_sample.csv", "ad_feature.csv", "user_profile.csv", "behavior_log.csv"}) {
    std::string text = Local().Read(Raw() + "/" + file).value();
    if (file == name) text.replace(text.find(from), from.size(), to);
    raw.Write(file, text);
  }
  PrepareTaobaoOptions options = Options(out);
  options.raw = raw.path();
  const Status status = Prepare(options);
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(Local().Exists(out.Join("unfinished"))) << "left behind";
  EXPECT_FALSE(Local().Exists(out.Join("train")));
  EXPECT_EQ(status.ToString().find('\n'), std::string::npos) << status.ToString();
  return std::string(StatusCodeName(status.code())) + " " +
         status.ToString().substr(status.ToString().find(raw.path()) == 0 ? raw.path().size() : 0);
}

TEST(PrepareTaobao, MistakesInTheFilesNameFileAndLine) {
  EXPECT_THAT(SaidOf("behavior_log.csv", "user,time_stamp", "nick,time_stamp"),
              HasSubstr("/behavior_log.csv:1: the header is \"nick,time_stamp,btag,cate,brand\", "
                        "expected \"user,time_stamp,btag,cate,brand\""));
  const std::string cell = SaidOf("behavior_log.csv", ",pv,", ",pv,x");
  EXPECT_THAT(cell, HasSubstr("/behavior_log.csv: "));
  EXPECT_THAT(cell, HasSubstr("CSV Error on Line: "));
  EXPECT_THAT(cell, HasSubstr("Error when converting column \"cate\""));
  EXPECT_THAT(SaidOf("raw_sample.csv", ",1,0\n", ",1\n"), HasSubstr("/raw_sample.csv: "));
  EXPECT_THAT(SaidOf("raw_sample.csv", ",1,0\n", ",1,1\n"),
              HasSubstr("/raw_sample.csv: in 1 rows clk and nonclk are not 0 and 1"));
  EXPECT_THAT(SaidOf("raw_sample.csv", ",clk\n", ",clk\n,1494000000,1,p,1,0\n"),
              HasSubstr("an id or the time is missing"));
  EXPECT_THAT(SaidOf("ad_feature.csv", "price\n", "price\n1,1,1,1,1,1.0\n"),
              HasSubstr("/ad_feature.csv: 1 rows repeat or lack the id that must occur once"));
}

TEST(PrepareTaobao, MissingFilesAndProgramsAreNamedWithTheirCure) {
  const TempDir raw, out;
  PrepareTaobaoOptions options = Options(out);
  options.duckdb = "/nowhere/duckdb";
  EXPECT_EQ(Prepare(options).ToString(), "--duckdb /nowhere/duckdb: no such program");
  options.raw = raw.path();
  EXPECT_EQ(Prepare(options).ToString(), raw.path() + "/raw_sample.csv is missing");
  raw.Write("raw_sample.csv.tar.gz", "");
  EXPECT_THAT(Prepare(options).ToString(), HasSubstr("is missing; unpack it: tar -xzf "));
  options.memory = kPrepareLeastMemory - 1;
  EXPECT_EQ(Prepare(options).ToString(), "--memory: at least 512MB");
}

TEST(PrepareTaobao, TheConfigsTrainOnWhatItWrites) {
  const TempDir out, runs;
  ASSERT_TRUE(Prepare(Options(out)).ok());
  for (const std::string model : {"base", "din"}) {
    const ProcessResult result = RunCommand(
        {{std::string(TRESTLE_BINARY_DIR) + "/bin/trestle", "train",
          std::string(TRESTLE_SOURCE_DIR) + "/configs/taobao_" + model + ".textproto", "--set",
          "data.train=" + out.Join("train/*.parquet"), "--set",
          "data.test=" + out.Join("test/*.parquet"), "--set", "checkpoint.dir=" + runs.Join(model)},
         {},
         ""});
    EXPECT_EQ(result.exit_code, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("0 rejected"));
    EXPECT_THAT(result.output, HasSubstr("gauc"));
  }
}

TEST(PrepareTaobao, CtrlCEndsDuckDbAndLeavesNothingUnfinished) {
  const TempDir raw, out;
  TaobaoSettings settings;
  settings.rows = 20'000;
  ThreadPool pool(2);
  ASSERT_TRUE(WriteTaobao(Local(), settings, raw.path(), pool).ok());
  const std::string trestle = std::string(TRESTLE_BINARY_DIR) + "/bin/trestle";
  const Command command{
      {trestle, "prepare", "taobao", raw.path(), out.path(), "--buckets", "50"}, {}, ""};
  Process process(command);
  ASSERT_TRUE(process.WaitForOutput("joining")) << process.output();
  const pid_t duckdb = process.PidOf("duckdb");
  process.Signal(SIGINT);
  const ProcessResult result = process.Wait();
  EXPECT_EQ(result.exit_code, 130) << result.output;
  EXPECT_THAT(result.output, HasSubstr("interrupted; the same command begins anew"));
  if (duckdb > 0) {
    EXPECT_NE(::kill(duckdb, 0), 0) << "duckdb outlived its parent";
  }
  EXPECT_EQ(Local().List(out.path()).value(), (std::vector<std::string>{"lock"}));
}

TEST(DuckDb, ErrorsAreOneLineWithTheFile) {
  const Status csv = DuckDbError(
      "Conversion Error: CSV Error on Line: 3\nOriginal Line: 3,x\nError when converting\n\n"
      "Column time_stamp is\nPossible solutions:\n* Override\n\n  file = bad.csv\n  quote = (x)\n");
  EXPECT_EQ(csv.code(), StatusCode::kInvalidData);
  EXPECT_EQ(csv.ToString(),
            "bad.csv: Conversion Error: CSV Error on Line: 3; Original Line: 3,x; Error when "
            "converting");
  EXPECT_EQ(DuckDbError("Out of Memory Error: failed\n\nPossible\n").code(),
            StatusCode::kOutOfMemory);
  EXPECT_EQ(DuckDbError("IO Error: No space left on device").code(), StatusCode::kIoError);
  EXPECT_EQ(DuckDbError("").code(), StatusCode::kInternal);
}

TEST(SqlSteps, AScriptIsSettingsVariablesTheSharedPartAndOneStep) {
  const SqlSteps steps("shared;\n-- STEP a: first\nA;\n-- STEP b: second\nB;\n");
  EXPECT_EQ(steps.Script("a", {{"threads", "1"}}, {{"raw", SqlText("it's")}}),
            "SET threads = 1;\nSET VARIABLE raw = 'it''s';\nshared;\n-- STEP a: first\nA;");
  EXPECT_THAT(steps.Script("b", {}, {}), StartsWith("shared;\n-- STEP b: second\nB;"));
}

}  // namespace
}  // namespace trestle
