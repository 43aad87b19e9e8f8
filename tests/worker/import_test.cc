// From raw files to rows that lanes read.
#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/chunked_array.h>
#include <arrow/result.h>
#include <arrow/util/compression.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <set>
#include <sstream>
#include <string_view>

#include "base/hash.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/sanitizers.h"
#include "tests/worker/import_fixture.h"
#include "worker/block_file.h"
#include "worker/import/key_counts.h"

namespace trestle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::string Packed(arrow::Compression::type kind, const std::string& text) {
  const auto codec = arrow::util::Codec::Create(kind).ValueOrDie();
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int64_t>(text.size());
  std::string packed(static_cast<size_t>(codec->MaxCompressedLen(size, bytes)), '\0');
  const int64_t length = codec
                             ->Compress(size, bytes, static_cast<int64_t>(packed.size()),
                                        reinterpret_cast<uint8_t*>(packed.data()))
                             .ValueOrDie();
  packed.resize(static_cast<size_t>(length));
  return packed;
}

// A column that is no feature, and files beside data.test.
TEST_F(ImportTest, SlicesAndOtherEvaluationSetsAreImportedToo) {
  dir_.Write("in/a.csv", "clk,user,city\n1,42,Berlin\n0,7,\n");
  dir_.Write("new/b.csv", "clk,user,city\n1,8,9\n0,9,K\xc3\xb6ln\n0,9,9\n");
  Configure(R"(label: "clk" order: TIME)", R"(id { columns: "user" })");
  schema_.slices = {"city", "user"};
  PrepareOptions options;
  options.more_tests = {{dir_.Join("new/*")}, {dir_.Join("new/*.csv")}};
  const auto input = PrepareInput(schema_, data_, options, FileSystem::Local());
  ASSERT_TRUE(input.ok()) << input.status().ToString();
  EXPECT_THAT(input->test, IsEmpty());
  EXPECT_EQ(input->parts.size(), 2u) << "the two sets have the same file";
  ASSERT_EQ(input->more_tests.size(), 2u);
  EXPECT_EQ(input->more_tests[0], input->more_tests[1]);
  const LaneRows rows = Rows(input->more_tests[0]);
  EXPECT_THAT(rows.slices[0], ElementsAre("9", "K\xc3\xb6ln", "9"));
  EXPECT_THAT(rows.slices[1], ElementsAre("8", "9", "9"));
  schema_.slices = {"user"};  // the training's rows have no column for slices alone
  EXPECT_THAT(Rows(input->train).slices[0], ElementsAre("42", "7"));
}

TEST_F(ImportTest, RowsOfACsvArriveAsTheyAre) {
  dir_.Write("in/a.csv",
             "price,clk,user,city,seen,when\n"
             "1.5,1,42,Berlin,3|4,2024-03-31 17:05\n"
             ",0,-7,\"New \"\"York\"\"\",,\n"
             "2,0,,,\"5\",2024-04-01\n");
  Configure(R"(label: "clk" group: "user" order: TIME)",
            R"(id { columns: ["user", "city"] } id { columns: "when" time: HOUR_OF_WEEK }
               sequence { columns: "seen" } numeric { columns: "price" missing: -1 })");
  const PreparedInput input = MustPrepare();
  const LaneRows rows = Rows(input.train);
  ASSERT_EQ(rows.rows, 3);
  EXPECT_EQ(rows.rejected, 0);
  EXPECT_THAT(rows.labels, ElementsAre(1, 0, 0));
  EXPECT_THAT(rows.numeric, ElementsAre(1.5, -1, 2));
  const auto minus_seven = static_cast<uint64_t>(int64_t{-7});
  EXPECT_THAT(Ids(rows.slots[0]), ElementsAre(42, minus_seven, MissingKey(1000).value));
  EXPECT_THAT(Ids(rows.slots[1]),
              ElementsAre(StringKey("Berlin", 1001).value, StringKey("New \"York\"", 1001).value,
                          MissingKey(1001).value));
  EXPECT_THAT(Ids(rows.slots[2]), ElementsAre(6 * 24 + 17, MissingKey(1002).value, 0));
  EXPECT_THAT(Ids(rows.slots[3]), ElementsAre(3, 4, 5));
  EXPECT_THAT(rows.slots[3].offsets, ElementsAre(0, 2, 2, 3));
  EXPECT_EQ(rows.groups[0], 42);
  const CacheNumeric& price = input.parts[0].numeric(1);
  EXPECT_EQ(price.column(), "price");
  EXPECT_EQ(price.count(), 2);
  EXPECT_EQ(price.missing(), 1);
  EXPECT_EQ(price.mean(), 1.75);
  EXPECT_EQ(price.max(), 2);
}

TEST_F(ImportTest, ShuffledRowsAreAllThereOnceInAnotherOrder) {
  dir_.Write("in/a.csv", NumberedCsv(10'000));
  dir_.Write("in/b.csv", NumberedCsv(5'000, 10'000));
  Configure(kNumberedData, kNumberedFeatures);
  const LaneRows rows = Rows(MustPrepare().train);
  std::vector<uint64_t> users = Ids(rows.slots[0]);
  for (size_t i = 0; i < users.size(); ++i) {
    EXPECT_EQ(rows.numeric[i], static_cast<float>(users[i]) + 0.5f);
    EXPECT_EQ(rows.labels[i], users[i] % 3 == 0 ? 1 : 0);
    EXPECT_EQ(rows.slots[2].keys[2 * i].value, users[i]);
  }
  EXPECT_FALSE(std::is_sorted(users.begin(), users.end()));
  const auto early =
      std::count_if(users.begin(), users.begin() + 1000, [](uint64_t u) { return u >= 10'000; });
  EXPECT_NEAR(static_cast<double>(early), 333, 60);  // files are mixed
  std::sort(users.begin(), users.end());
  std::vector<uint64_t> expected(15'000);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(users, expected);
}

TEST_F(ImportTest, BytesAreTheSameAtAnyNumberOfThreadsAndMemory) {
  for (int i = 0; i < 3; ++i) {  // several buckets
    dir_.Write("in/" + std::to_string(i) + ".csv", NumberedCsv((kSanitized ? 50'000 : 250'000) + i, i));
  }
  for (const char* order : {"SHUFFLE", "TIME"}) {
    if (kSanitized && std::string_view(order) == "TIME") break;
    Configure(std::string(kNumberedData) + " holdout: 0.2 order: " + order, kNumberedFeatures);
    std::map<std::string, std::string> expected;
    for (const int threads : {1, 3}) {
      std::filesystem::remove_all(dir_.Join("cache"));
      ASSERT_TRUE(Prepare(threads, FileSystem::Local(), int64_t{64} << 20 << threads).ok());
      if (expected.empty()) expected = CacheBytes();
      EXPECT_GT(expected.size(), kSanitized ? 2u : 3u);
      EXPECT_TRUE(CacheBytes() == expected) << order << " with " << threads << " threads";
    }
  }
}

TEST_F(ImportTest, HeldOutRowsAreNoTrainingRows) {
  dir_.Write("in/a.csv", NumberedCsv(20'000));
  for (const char* order : {"SHUFFLE", "TIME"}) {
    Configure(std::string(kNumberedData) + " holdout: 0.1 order: " + order, kNumberedFeatures);
    const PreparedInput input = MustPrepare();
    const std::vector<uint64_t> train = Ids(Rows(input.train).slots[0]);
    const std::vector<uint64_t> test = Ids(Rows(input.test).slots[0]);
    EXPECT_NEAR(static_cast<double>(test.size()), 2000, 600) << order;
    std::set<uint64_t> all(train.begin(), train.end());
    all.insert(test.begin(), test.end());
    EXPECT_EQ(all.size(), 20'000u);
    if (data_.order() == TIME) {
      EXPECT_EQ(test.back(), 19'999u);
    }
  }
}

TEST_F(ImportTest, BadRowsAreRejectedWithFileLineColumnAndReason) {
  const std::string path = dir_.Write(
      "in/a.csv",
      "clk,user,price\n1,1,1\n2,2,1\n1,x,1\n1,4\n\n1,5,nan\n,6,1\n1,\"7,1\n1,8,\n0,9,2\n");
  Configure(R"(label: "clk")",
            R"(id { columns: "user" type: INTEGER } numeric { columns: "price" })");
  const PreparedInput input = MustPrepare();
  EXPECT_EQ(input.parts[0].sources(0).rows(), 2);
  EXPECT_EQ(input.parts[0].sources(0).rejected(), 7);
  EXPECT_EQ(Rejected(),
            path + "\t3\tclk\tclk 2, the label, is not 0 or 1\n" +               //
                path + "\t4\tuser\tuser \"x\" is not an integer of 64 bits\n" +  //
                path + "\t5\t\thas 2 fields, expected 3\n" +                     //
                path + "\t7\tprice\tprice nan is not finite\n" +                 //
                path + "\t8\tclk\tclk is missing, and it is the label\n" +       //
                path + "\t9\t\ta quote is not closed\n" +                        //
                path + "\t10\tprice\tprice is missing and the feature has no `missing` value\n");
  const Status status = CheckRejected(input, data_);
  EXPECT_EQ(status.code(), StatusCode::kInvalidData);
  EXPECT_THAT(status.ToString(), HasSubstr("7 rows were rejected by the import, data.max_bad_rows "
                                           "allows 0; the first: " +
                                           path + ", line 3: clk 2,"));
  data_.set_max_bad_rows(7);
  EXPECT_TRUE(CheckRejected(input, data_).ok());
}

TEST_F(ImportTest, ListsOutOfStepAreRejectedAndLeaveNoItems) {
  dir_.Write("in/a.csv", "y,a,b\n1,1|2,3|4\n0,1|2,3\n1,5,6\n0,1|x,3|4\n1,,\n");
  Configure(R"(label: "y" order: TIME)", R"(sequence { columns: ["a", "b"] type: INTEGER })");
  const LaneRows rows = Rows(MustPrepare().train);
  EXPECT_THAT(Ids(rows.slots[0]), ElementsAre(1, 2, 5));
  EXPECT_THAT(Ids(rows.slots[1]), ElementsAre(3, 4, 6));
  EXPECT_THAT(Rejected(), HasSubstr("\t3\tb\tb has 1 items, a has 2\n"));
}

TEST_F(ImportTest, LinesThatAStrayQuoteTakesAlongCountAsRejected) {
  dir_.Write("in/a.csv", "y,name\n1,a\n0,5\" pipe\n1,b\n0,c\n1,6\" pipe\n0,\"d\n e\"\n");
  Configure(R"(label: "y" text { newlines_in_values: true })",
            R"(id { columns: "name" type: STRING })");
  const PreparedInput input = MustPrepare();
  EXPECT_EQ(input.parts[0].sources(0).rows(), 2);
  EXPECT_EQ(input.parts[0].sources(0).rejected(), 4);
}

TEST_F(ImportTest, IdsThatAreNotAllIntegersAreStrings) {
  std::string text = "y,whole,zeros,mixed,missing\n";
  for (int i = 0; i < 100; ++i) {
    text +=
        "1," + std::to_string(i) + ",0" + std::to_string(i) + "," + (i < 99 ? "5" : "x") + ",\n";
  }
  dir_.Write("in/a.csv", text);
  Configure(R"(label: "y")", R"(id { columns: ["whole", "zeros", "mixed", "missing"] })");
  MustPrepare();
  const CacheManifest manifest = ReadCacheManifest(FileSystem::Local(), dir_.Join("cache")).value();
  EXPECT_EQ(manifest.columns(1).kind(), INTEGER_ID);
  EXPECT_EQ(manifest.columns(2).kind(), STRING_ID);
  EXPECT_EQ(manifest.columns(3).kind(), STRING_ID);
  EXPECT_EQ(manifest.columns(4).kind(), STRING_ID);
}

TEST_F(ImportTest, ASecondCallFindsAllThere) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  EXPECT_EQ(MustPrepare().imported, 1);
  const auto before = CacheBytes();
  EXPECT_EQ(MustPrepare().imported, 0);
  EXPECT_EQ(CacheBytes(), before);
}

TEST_F(ImportTest, NewFilesAloneAreImported) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  const PreparedInput first = MustPrepare();
  const auto before = CacheBytes();
  dir_.Write("in/b.csv", NumberedCsv(50, 100));
  const PreparedInput second = MustPrepare();
  EXPECT_EQ(second.imported, 1);
  ASSERT_EQ(second.parts.size(), 2u);
  EXPECT_EQ(second.parts[1].sources_size(), 1);
  EXPECT_EQ(second.train.front(), first.train.front());
  EXPECT_EQ(CacheBytes().at(first.train.front()), before.at(first.train.front()));
  EXPECT_EQ(Rows(second.train).rows, 150);
}

TEST_F(ImportTest, AChangedFileIsNoticedAndATouchedOneIsNot) {
  const std::string path = dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  MustPrepare();
  const auto later = std::filesystem::last_write_time(path) + std::chrono::hours(1);
  std::filesystem::last_write_time(path, later);
  const auto before = CacheBytes();
  EXPECT_EQ(MustPrepare().imported, 0);
  const auto touched = CacheBytes();
  EXPECT_NE(touched, before) << "it would be hashed each time";
  EXPECT_EQ(MustPrepare().imported, 0);
  EXPECT_EQ(CacheBytes(), touched);
  dir_.Write("in/a.csv", NumberedCsv(100, 900));
  const PreparedInput input = MustPrepare();
  EXPECT_EQ(input.imported, 1);
  EXPECT_THAT(said_, HasSubstr("a.csv is not as it was imported"));
  const std::vector<uint64_t> users = Ids(Rows(input.train).slots[0]);
  EXPECT_EQ(*std::min_element(users.begin(), users.end()), 900u);
  EXPECT_EQ(CacheBytes().size(), 2u) << "manifest and one file";
}

// A setting of evaluations alone: a run that is resumed may have another.
TEST_F(ImportTest, OtherSlicesLeaveWhatIsTrainedOn) {
  std::string text = "clk,user,city\n";
  for (int i = 0; i < 40; ++i) text += std::to_string(i % 2) + "," + std::to_string(i) + ",1\n";
  dir_.Write("in/a.csv", text);
  dir_.Write("test/b.csv", "clk,user,city\n1,8,1\n0,9,K\xc3\xb6ln\n0,9,\xff\n");
  for (const char* holdout : {"", "holdout: 0.5"}) {
    std::filesystem::remove_all(dir_.Join("cache"));
    const bool held = *holdout != 0;
    Configure(std::string(R"(label: "clk" )") + holdout, R"(id { columns: "user" })");
    if (!held) data_.add_test(dir_.Join("test/*"));
    const PreparedInput before = MustPrepare();
    const uint64_t train = MustOpen(schema_, before.train)->Fingerprint();
    const uint64_t test = MustOpen(schema_, before.test)->Fingerprint();
    Schema sliced = schema_;
    sliced.slices = {"city"};
    std::swap(schema_, sliced);
    const PreparedInput input = MustPrepare();
    EXPECT_EQ(input.imported, 1) << "those with rows to test on alone";
    EXPECT_EQ(MustPrepare().imported, 0);
    if (!held) {
      EXPECT_EQ(input.train, before.train);
      EXPECT_THAT(Rows(input.test).slices[0],
                  UnorderedElementsAre("1", "K\xc3\xb6ln", kMissingText));
    }
    EXPECT_EQ(MustOpen(schema_, input.test)->Fingerprint(), test);
    std::swap(schema_, sliced);
    EXPECT_EQ(MustOpen(schema_, input.train)->Fingerprint(), train);
    EXPECT_EQ(MustPrepare().imported, 0) << "fewer are there already";
  }
}

TEST_F(ImportTest, SlicesByNumbersAndListsAreRefused) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  schema_.slices = {"price"};
  EXPECT_THAT(Error(),
              HasSubstr("eval.slices: \"price\" is read as numbers; files that are "
                        "imported cannot be sliced by one: give them a column of its own for "
                        "that, or take another"));
  schema_.slices = {"tags"};
  EXPECT_THAT(Error(), HasSubstr("eval.slices: \"tags\" is a sequence or bag"));
}

TEST_F(ImportTest, OtherSettingsStartAgain) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  MustPrepare();
  Configure(kNumberedData, R"(id { columns: "user" dim: 4 } sequence { columns: "tags" }
                              numeric { columns: "price" })");
  EXPECT_EQ(MustPrepare().imported, 1);
  EXPECT_THAT(said_, HasSubstr("settings of the import changed"));
  Configure(kNumberedData,
            R"(id { columns: "user" dim: 8 } sequence { columns: "tags" keep_last: 3 }
                              numeric { columns: "price" scale: STANDARD })");
  EXPECT_EQ(MustPrepare().imported, 0) << "settings that change no byte";
}

TEST_F(ImportTest, OneOtherValueIsAnotherFingerprint) {
  std::string text = NumberedCsv(100);
  Configure(kNumberedData, kNumberedFeatures);
  std::set<uint64_t> seen;
  for (const char* cell : {"\n1,99,", "\n0,99,"}) {  // the label
    text.replace(text.rfind(",99,") - 2, 6, cell);
    dir_.Write("in/a.csv", text);
    std::filesystem::remove_all(dir_.Join("cache"));
    EXPECT_TRUE(seen.insert(MustOpen(schema_, MustPrepare().train)->Fingerprint()).second);
  }
}

TEST_F(ImportTest, ACacheWhoseFileIsGoneOrCutIsMadeAgain) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  std::string path = MustPrepare().train.front();
  std::filesystem::resize_file(path, 100);
  path = MustPrepare().train.front();
  EXPECT_EQ(Rows({path}).rows, 100);
  std::filesystem::remove(path);
  EXPECT_EQ(Rows(MustPrepare().train).rows, 100);
}

TEST_F(ImportTest, ACacheInAFolderOfAnyNameAndAmongTheFilesIsNoFile) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  data_.set_cache(dir_.Join("in/ca[ch]*e/x"));
  EXPECT_EQ(Rows(MustPrepare().train).rows, 100);
  EXPECT_EQ(MustPrepare().imported, 0);
}

TEST_F(ImportTest, InTimeOrderAFileBeforeOthersImportsAllAgain) {
  dir_.Write("in/b.csv", NumberedCsv(100, 100));
  Configure(std::string(kNumberedData) + "order: TIME", kNumberedFeatures);
  MustPrepare();
  dir_.Write("in/c.csv", NumberedCsv(50, 200));
  EXPECT_EQ(MustPrepare().parts.size(), 2u);
  dir_.Write("in/a.csv", NumberedCsv(100));
  const PreparedInput input = MustPrepare();
  EXPECT_EQ(input.parts.size(), 1u);
  EXPECT_THAT(said_, HasSubstr("all are imported again"));
  std::vector<uint64_t> expected(250);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(Ids(Rows(input.train).slots[0]), expected);
}

// Some files are of several sets, in other orders or with others before them.
TEST_F(ImportTest, InTimeOrderSetsWithTheSameFilesDoNotTakeEachOthersParts) {
  dir_.Write("in/a.csv", NumberedCsv(3));
  dir_.Write("test/07.csv", NumberedCsv(3, 7));
  dir_.Write("test/08.csv", NumberedCsv(3, 8));
  Configure(std::string(kNumberedData) + "order: TIME", kNumberedFeatures);
  const std::string first = dir_.Join("test/07.csv"), second = dir_.Join("test/08.csv");
  data_.add_test(second);
  PrepareOptions options;
  options.more_tests = {{dir_.Join("test/0[78].csv")}, {second, first}};
  for (const int imported : {4, 0}) {
    const auto input = PrepareInput(schema_, data_, options, FileSystem::Local());
    ASSERT_TRUE(input.ok()) << input.status().ToString();
    EXPECT_EQ(input->imported, imported);
    EXPECT_THAT(Ids(Rows(input->test).slots[0]), ElementsAre(8, 9, 10));
    EXPECT_THAT(Ids(Rows(input->more_tests[0]).slots[0]), ElementsAre(7, 8, 9, 8, 9, 10));
    EXPECT_THAT(Ids(Rows(input->more_tests[1]).slots[0]), ElementsAre(8, 9, 10, 7, 8, 9));
  }
}

TEST_F(ImportTest, InTimeOrderTheLastRowsOfAllAreHeldOut) {
  dir_.Write("in/a.csv", NumberedCsv(1000));
  Configure(std::string(kNumberedData) + "order: TIME holdout: 0.3", kNumberedFeatures);
  MustPrepare();
  dir_.Write("in/b.csv", NumberedCsv(1000, 1000));
  const PreparedInput input = MustPrepare();
  const std::vector<uint64_t> train = Ids(Rows(input.train).slots[0]);
  const std::vector<uint64_t> test = Ids(Rows(input.test).slots[0]);
  EXPECT_EQ(train.size() + test.size(), 2000u);
  EXPECT_LT(train.back(), test.front());
}

TEST_F(ImportTest, SetsWithoutRowsAreToldByTheirPatterns) {
  dir_.Write("in/a.csv", "clk,user\n1,1\n0,2\n");
  dir_.Write("test/a.csv", "clk,user\n");
  const auto problem = [&] { return CheckRejected(MustPrepare(), data_).ToString(); };
  Configure(R"(label: "clk" holdout: 0.1 order: TIME)", R"(id { columns: "user" })");
  EXPECT_THAT(problem(), HasSubstr("in/* has too few rows to hold out any"));
  Configure(R"(label: "clk")", R"(id { columns: "user" })");
  data_.add_test(dir_.Join("test/*"));
  EXPECT_THAT(problem(), HasSubstr("test/*: no rows to import"));
}

TEST_F(ImportTest, TextOfParquetThatIsNotUtf8IsRejected) {
  std::filesystem::create_directories(dir_.Join("in"));
  arrow::StringBuilder names;
  for (const char* name : {"a", "b\xFF", "c"}) EXPECT_TRUE(names.Append(name).ok());
  WriteParquet(dir_.Join("in/a.parquet"),
               {{"y", Int64s({1, 0, 1})}, {"name", names.Finish().ValueOrDie()}}, 10);
  dir_.Write("in/b.csv", "y,name\n1,d\n");
  Configure(R"(label: "y")", R"(id { columns: "name" })");
  const PreparedInput input = MustPrepare();
  EXPECT_EQ(input.parts[0].sources(0).rows(), 2);
  EXPECT_THAT(Rejected(), HasSubstr("a.parquet\t2\t\tholds text that is not UTF-8\n"));
}

TEST_F(ImportTest, FractionsAreNoIntegerIdsWhateverTheirValues) {
  std::filesystem::create_directories(dir_.Join("in"));
  WriteParquet(dir_.Join("in/a.parquet"), {{"y", Int64s({1, 0})}, {"id", Doubles({1, 2.5})}}, 10);
  dir_.Write("in/b.csv", "y,id\n1,7\n");
  Configure(R"(label: "y")", R"(id { columns: "id" type: INTEGER })");
  EXPECT_EQ(MustPrepare().parts[0].sources(0).rejected(), 2);
}

TEST_F(ImportTest, AColumnThatABlockFileHoldsTwiceIsTold) {
  std::filesystem::create_directories(dir_.Join("in"));
  WriteParquet(dir_.Join("in/a.parquet"),
               {{"y", Int64s({1, 0})}, {"id", Int64s({1, 2})}, {"id", Int64s({1, 2})}}, 10);
  dir_.Write("in/b.csv", "y,id\n1,7\n");
  Configure(R"(label: "y")", R"(id { columns: "id" })");
  EXPECT_THAT(Error(), HasSubstr("column \"id\" occurs twice"));
}

TEST_F(ImportTest, PartsThatAJobReadsStayUntilItEnds) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  PreparedInput job = MustPrepare();
  const auto dataset = MustOpen(schema_, job.train);
  Configure(kNumberedData, R"(id { columns: "user" } numeric { columns: "price" })");
  const PreparedInput other = MustPrepare();
  EXPECT_EQ(other.parts[0].number(), 2);
  EXPECT_EQ(ReadInOrder(*dataset).rows, 100);
  job.in_use.reset();
  dir_.Write("in/a.csv", NumberedCsv(50));
  EXPECT_EQ(MustPrepare().parts[0].number(), 3);
  EXPECT_TRUE(FileSystem::Local().Exists(PartFolder(dir_.Join("cache"), 1))) << "`other` reads";
}

TEST_F(ImportTest, PartsThatNoJobReadsAreRemovedAndTheirNumbersStayTaken) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  for (const int number : {1, 2, 3}) {
    Configure(kNumberedData, kNumberedFeatures);
    if (number == 2) Configure(kNumberedData, R"(id { columns: "user" })");
    EXPECT_EQ(MustPrepare().parts[0].number(), number);
    EXPECT_EQ(CacheBytes().size(), 2u) << "manifest and one file";
  }
}

TEST_F(ImportTest, FilesOfBlocksAreTakenAsTheyAre) {
  std::filesystem::create_directories(dir_.Join("in"));
  WriteParquet(dir_.Join("in/a.parquet"), {{"y", Int64s({1, 0})}, {"id", Int64s({5, 6})}}, 10);
  Configure(R"(label: "y")", R"(id { columns: "id" })");
  const PreparedInput input = MustPrepare();
  EXPECT_THAT(input.train, ElementsAre(dir_.Join("in/*")));
  EXPECT_THAT(input.parts, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("cache")));
}

TEST_F(ImportTest, AllProblemsOfAllFilesAreTold) {
  dir_.Write("in/a.csv", "clk,usr\n1,2\n");
  dir_.Write("in/b.csv", "clk,clk\n1,2\n");
  dir_.Write("in/c.csv", "");
  Configure(R"(label: "clk")", R"(id { columns: "user" })");
  std::string text = Error();
  EXPECT_THAT(text, HasSubstr("b.csv: line 1: the column \"clk\" occurs twice"));
  EXPECT_THAT(text, HasSubstr("c.csv: is empty (0 bytes)"));
  std::filesystem::remove(dir_.Join("in/b.csv"));
  std::filesystem::remove(dir_.Join("in/c.csv"));
  EXPECT_THAT(Error(), HasSubstr("a.csv: column \"user\" is missing; did you mean \"usr\"?"));
}

TEST_F(ImportTest, AFailingDiskLeavesTheCacheAsItWas) {
  dir_.Write("in/a.csv", NumberedCsv(200));
  Configure(kNumberedData, kNumberedFeatures);
  MustPrepare();
  const auto before = CacheBytes();
  dir_.Write("in/b.csv", NumberedCsv(300, 200));
  std::map<std::string, std::string> complete;
  for (int64_t n = 1; complete.empty(); ++n) {
    ASSERT_LT(n, 200);
    FaultFileSystem fs(FileSystem::Local(), {.fail_call = n, .short_write = 7});
    const auto input = Prepare(1, fs);
    if (input.ok() && fs.calls() < n) {
      complete = CacheBytes();
      break;
    }
    // Whatever failed, the next import goes through, and the first part stays in use.
    const auto manifest = ReadCacheManifest(FileSystem::Local(), dir_.Join("cache"));
    ASSERT_TRUE(manifest.ok());
    EXPECT_EQ(manifest->parts(0).files(0).name(), "000000.arrow");
    if (manifest->parts_size() > 1) continue;  // all but the last sync was done
    for (const auto& [path, bytes] : before) EXPECT_EQ(CacheBytes().at(path), bytes) << n;
  }
  std::filesystem::remove_all(dir_.Join("cache"));
  std::filesystem::rename(dir_.Join("in/b.csv"), dir_.Join("b.csv"));
  MustPrepare();
  std::filesystem::rename(dir_.Join("b.csv"), dir_.Join("in/b.csv"));
  MustPrepare();
  EXPECT_TRUE(CacheBytes() == complete);
}

TEST_F(ImportTest, ADamagedManifestIsCorrupt) {
  dir_.Write("in/a.csv", NumberedCsv(100));
  Configure(kNumberedData, kNumberedFeatures);
  MustPrepare();
  const std::string path = dir_.Join("cache/MANIFEST.json");
  std::string text = FileSystem::Local().Read(path).value();
  text[text.find("\"rows\": \"100\"") + 9] = '2';
  dir_.Write("cache/MANIFEST.json", text);
  const auto input = Prepare();
  EXPECT_EQ(input.status().code(), StatusCode::kCorrupt);
  EXPECT_THAT(input.status().ToString(), HasSubstr("MANIFEST.json: its checksum does not fit"));
}

// The same rows from every kind of file.
TEST_F(ImportTest, PackedFilesJsonLinesAndLargeRowGroupsHoldTheSameRows) {
  constexpr int kRows = kSanitized ? 7'000 : 70'000;  // more than a small group holds
  std::string csv = "y,id,name,tags,x\n", json;
  std::vector<int64_t> y, id;
  std::vector<double> x;
  std::vector<std::vector<int64_t>> tags;
  for (int i = 0; i < kRows; ++i) {
    const std::string n = std::to_string(i), label = std::to_string(i % 2);
    csv += label + "," + n + ",n" + n + ",7|" + n + "," + n + ".5\n";
    json += "{\"y\":" + label + ",\"id\":" + n + ",\"name\":\"n" + n + "\",\"tags\":[7," + n +
            "],\"x\":" + n + ".5}\n";
    y.push_back(i % 2);
    id.push_back(i);
    x.push_back(i + 0.5);
    tags.push_back({7, i});
  }
  std::string names = "[";
  for (int i = 0; i < kRows; ++i) names += (i ? ",\"n" : "\"n") + std::to_string(i) + "\"";
  const std::vector<FileColumn> columns = {{"y", Int64s(y)},
                                           {"id", Int64s(id)},
                                           {"name", Values("string", names + "]")},
                                           {"tags", Int64Lists(tags)},
                                           {"x", Doubles(x)}};
  dir_.Write("csv/a.csv", csv);
  dir_.Write("gzip/a.csv.gz", Packed(arrow::Compression::GZIP, csv));
  dir_.Write("zstd/a.zst", Packed(arrow::Compression::ZSTD, csv));
  dir_.Write("json/a.jsonl", json);
  std::filesystem::create_directories(dir_.Join("parquet"));
  std::filesystem::create_directories(dir_.Join("ipc"));
  WriteParquet(dir_.Join("parquet/a"), columns, kRows);
  WriteIpc(dir_.Join("ipc/a"), columns, kRows);
  LaneRows expected;
  for (const std::string kind : {"csv", "gzip", "zstd", "json", "parquet", "ipc"}) {
    SCOPED_TRACE(kind);
    Configure("label: \"y\" order: TIME", R"(id { columns: ["id", "name"] }
              sequence { columns: "tags" } numeric { columns: "x" })",
              kind + "/*");
    data_.set_cache(dir_.Join("cache/" + kind));
    const PreparedInput input = MustPrepare();
    const bool in_place = kSanitized && (kind == "parquet" || kind == "ipc");  // groups are small
    EXPECT_EQ(input.imported, in_place ? 0 : 1);
    const LaneRows rows = Rows(input.train);
    ASSERT_EQ(rows.rows, kRows);
    if (kind == "csv") expected = rows;
    EXPECT_TRUE(SameRows(rows, expected));
  }
}

TEST_F(ImportTest, ADamagedArchiveIsInvalidData) {
  std::string bytes = Packed(arrow::Compression::GZIP, NumberedCsv(100'000));
  bytes.resize(bytes.size() / 2);
  dir_.Write("in/a.csv.gz", bytes);
  Configure(kNumberedData, kNumberedFeatures);
  const auto input = Prepare();
  EXPECT_EQ(input.status().code(), StatusCode::kInvalidData);
  EXPECT_THAT(input.status().ToString(), HasSubstr("a.csv.gz: "));
  EXPECT_FALSE(FileSystem::Local().Exists(PartFolder(dir_.Join("cache"), 1)));
}

TEST_F(ImportTest, TextInJsonIsNoInteger) {
  dir_.Write("in/a.jsonl",
             "{\"y\":1,\"id\":5}\n{\"y\":0,\"id\":\"6\"}\n{\"y\":0}\nnot json\n"
             "{\"y\":1,\"id\":9223372036854775808}\n");
  Configure(R"(label: "y")", R"(id { columns: "id" type: INTEGER })");
  EXPECT_EQ(MustPrepare().parts[0].sources(0).rows(), 2);
  const std::string path = dir_.Join("in/a.jsonl");
  EXPECT_EQ(Rejected(), path + "\t2\tid\tid \"6\" is text, not an integer\n" +  //
                            path + "\t4\t\tis not a JSON object\n" +            //
                            path + "\t5\tid\tid 9223372036854775808 is not an integer\n");
}

TEST_F(ImportTest, FilesWithoutAHeaderAndWithMissingTexts) {
  dir_.Write("in/a.txt", "1;a;NULL\n0;NA;2\n");
  Configure(R"(label: "y" order: TIME text { columns: ["y", "id", "x"] missing: ["NULL", "NA"] })",
            R"(id { columns: "id" } numeric { columns: "x" missing: 7 })");
  const LaneRows rows = Rows(MustPrepare().train);
  EXPECT_THAT(rows.numeric, ElementsAre(7, 2));
  EXPECT_THAT(Ids(rows.slots[0]), ElementsAre(StringKey("a", 1000).value, MissingKey(1000).value));
}

// key, occurrences, samples
std::vector<std::array<uint64_t, 3>> CountsIn(const std::string& path) {
  const auto file = OpenBlockFile(path).value();
  std::vector<std::array<uint64_t, 3>> all;
  for (size_t b = 0; b < file->block_rows().size(); ++b) {
    const auto read =
        file->Read(static_cast<int64_t>(b), {"key", "occurrences", "samples"}).value();
    const auto& keys = dynamic_cast<const arrow::UInt64Array&>(*read[0]->chunk(0));
    const auto& occurrences = dynamic_cast<const arrow::Int64Array&>(*read[1]->chunk(0));
    const auto& samples = dynamic_cast<const arrow::Int64Array&>(*read[2]->chunk(0));
    for (int64_t i = 0; i < keys.length(); ++i) {
      all.push_back({keys.Value(i), static_cast<uint64_t>(occurrences.Value(i)),
                     static_cast<uint64_t>(samples.Value(i))});
    }
  }
  return all;
}

TEST_F(ImportTest, KeysAreCountedByOccurrencesAndSamples) {
  std::string text = "y,id,seen\n1,5,5|5|6\n0,6,\n1,5,7\n";
  for (int i = 0; i < 5000; ++i) text += "0," + std::to_string(100 + i) + ",\n";
  dir_.Write("in/a.csv", text);
  Configure(R"(label: "y")", R"(id { columns: "id" } sequence { columns: "seen" like: "id" })");
  const DatasetOptions files = {MustPrepare().train, Seeds(schema_)};
  ThreadPool pool(2);
  const auto count = [&](const std::string& folder, int64_t memory) {
    const Status written =
        WriteKeyCounts(schema_, files, dir_.Join(folder), memory, pool, FileSystem::Local());
    EXPECT_TRUE(written.ok()) << written.ToString();
    return CountsIn(dir_.Join(folder) + "/id.arrow");
  };
  auto once = count("once", 1 << 30);
  ASSERT_EQ(once.size(), 5003u);
  EXPECT_THAT(once[0], ElementsAre(5, 4, 2));
  EXPECT_THAT(once[1], ElementsAre(6, 2, 2));
  EXPECT_THAT(once[2], ElementsAre(7, 1, 1));
  auto passes = count("passes", 1);  // at most 1,024 keys at a time
  std::sort(passes.begin(), passes.end());
  EXPECT_EQ(passes, once);
}

// Damage that a reader can see: each such row is in the reject file, and all others are unchanged.
TEST_F(ImportTest, TenThousandDamagedRowsAreAllRejectedAndNoOtherChanges) {
  constexpr uint64_t kSeed = 20240331;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  constexpr int kRows = 60'000, kDamaged = 10'000;
  std::vector<int> order(kRows);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  const std::set<int> damaged(order.begin(), order.begin() + kDamaged);
  std::string text = "clk,user,name,tags,price\n";
  for (int i = 0; i < kRows; ++i) {
    const std::string n = std::to_string(i);
    std::vector<std::string> cells = {std::to_string(i % 2), n, "\"n " + n + "\"", n + "|1",
                                      n + ".5"};
    if (damaged.contains(i)) {
      switch (random() % 8) {
        case 0:
          cells[0] = std::to_string(2 + random() % 9);
          break;
        case 1:
          cells[1].insert(random() % (cells[1].size() + 1), 1, "x. +e"[random() % 5]);
          break;
        case 2:
          cells[1] = n + "00000000000000000000";
          break;
        case 3:
          cells[2].pop_back();
          break;  // the quote
        case 4:
          cells[2] = "\"\xC3(" + n + "\"";
          break;  // not UTF-8
        case 5:
          cells[3] += "|";
          break;
        case 6:
          cells[4] = random() % 2 ? "1,5" : "1.5.2";
          break;
        case 7:
          cells.resize(random() % 4 + 1);
          break;
      }
    }
    for (size_t c = 0; c < cells.size(); ++c) text += (c ? "," : "") + cells[c];
    text += "\n";
  }
  dir_.Write("in/a.csv", text);
  Configure(kNumberedData,
            R"(id { columns: "user" type: INTEGER } id { columns: "name" type: STRING }
                              sequence { columns: "tags" type: INTEGER } numeric { columns: "price" })");
  const PreparedInput input = MustPrepare();
  std::set<int> rejected;
  std::istringstream lines(Rejected());
  for (std::string line; std::getline(lines, line);) {
    const size_t tab = line.find('\t');
    rejected.insert(std::stoi(line.substr(tab + 1)) - 2);
    EXPECT_GT(line.size(), line.rfind('\t') + 5) << "no reason: " << line;
  }
  EXPECT_EQ(rejected, damaged);
  EXPECT_EQ(input.parts[0].sources(0).rejected(), kDamaged);
  const LaneRows rows = Rows(input.train);
  EXPECT_EQ(rows.rows, kRows - kDamaged);
  std::set<uint64_t> accepted;
  for (size_t i = 0; i < rows.labels.size(); ++i) {
    const uint64_t n = rows.slots[0].keys[i].value;
    EXPECT_EQ(rows.slots[1].keys[i].value, StringKey("n " + std::to_string(n), 1001).value);
    EXPECT_EQ(rows.slots[2].keys[2 * i].value, n);
    EXPECT_EQ(rows.numeric[i], static_cast<float>(n) + 0.5f);
    EXPECT_EQ(rows.labels[i], n % 2);
    EXPECT_FALSE(damaged.contains(static_cast<int>(n)));
    accepted.insert(n);
  }
  EXPECT_EQ(accepted.size(), rows.labels.size());
}

}  // namespace
}  // namespace trestle
