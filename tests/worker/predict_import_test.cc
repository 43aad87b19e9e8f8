// The import for predictions: every row of the text keeps its place, columns go along as they are,
// and ids are read as training read them.
#include <arrow/array.h>
#include <arrow/scalar.h>
#include <gmock/gmock.h>

#include "tests/worker/import_fixture.h"
#include "worker/import/unit.h"
#include "worker/input_columns.h"

namespace trestle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ImportColumn AsIs(const std::string& column, CellKind kind) {
  ImportColumn import;
  import.set_name(column);
  import.set_stored_as("as-is." + column);
  import.set_kind(kind);
  return import;
}

// A column of all blocks, each cell as text.
std::vector<std::string> Cells(const Dataset& dataset, const std::string& column) {
  std::vector<std::string> files, cells;
  for (const InputFile& file : dataset.files()) files.push_back(file.path);
  const auto columns = InputColumns::Open(files, {column}, "--columns", true);
  CHECK(columns.ok()) << columns.status().ToString();
  for (int64_t block = 0; block < dataset.blocks(); ++block) {
    const auto array = columns->Read(block).value().at(0);
    for (int64_t i = 0; i < array->length(); ++i) {
      cells.push_back(array->GetScalar(i).ValueOrDie()->ToString());
    }
  }
  return cells;
}

class PredictImportTest : public ImportTest {
 protected:
  // The files of `in` as predictions read them: without a label, in order.
  PrepareOptions ForPredictions() {
    schema_.label.clear();
    data_.clear_label();
    data_.mutable_test()->Swap(data_.mutable_train());
    data_.set_order(TIME);
    PrepareOptions options;
    options.train = false;
    options.keep_refused = true;
    options.say = [this](const std::string& line) { said_ += line + "\n"; };
    return options;
  }
};

TEST_F(PredictImportTest, BadRowsKeepTheirPlaceTheirColumnsAndTheirReason) {
  for (const bool json : {false, true}) {
    SCOPED_TRACE(json);
    const TempDir dir("predict_import");
    std::string path;
    if (json) {
      path = dir.Write("a.json",
                       "{\"user\": 1, \"price\": 2.5, \"list\": [1, 2]}\n"
                       "{\"user\": \"x\", \"price\": 3.5, \"list\": null}\n"
                       "no object\n"
                       "{\"user\": 4, \"price\": 4.5}\n");
    } else {
      path = dir.Write("a.csv", "user,price,list\n1,2.5,\"[1,2]\"\nx,3.5,\n4,1,2,3\n4,4.5,\n");
    }
    data_ = Parse<Data>("label: \"y\"");
    data_.add_train(path);
    data_.set_cache(dir.Join("cache"));
    schema_ = MakeSchema(data_, Parse<Features>("id { columns: \"user\" type: INTEGER }")).value();
    PrepareOptions options = ForPredictions();
    for (const char* column : {"price", "list"}) *options.more.Add() = AsIs(column, STRING_ID);
    options.make_cache = [&] { return Result<std::string>(dir.Join("elsewhere")); };
    const auto input = PrepareInput(schema_, data_, options, FileSystem::Local());
    ASSERT_TRUE(input.ok()) << input.status().ToString();
    EXPECT_THAT(said_, HasSubstr("importing 1 file, 0.0 MB, into " + dir.Join("elsewhere")));
    EXPECT_FALSE(FileSystem::Local().Exists(dir.Join("cache")));

    schema_.refused = kRefused;
    const auto dataset = MustOpen(schema_, input->test);
    std::string first;
    Ledger ledger;
    const auto steps = ReadAll(*dataset, WholePlan(100, 1), &ledger, &first);
    EXPECT_EQ(ledger.read, 4);
    EXPECT_THAT(steps[0][0].holes, ElementsAre(1, 2));
    EXPECT_THAT(Ids(steps[0][0].slots[0]), ElementsAre(1, 4));
    EXPECT_THAT(first, HasSubstr(path + ", line " + (json ? "2" : "3") + ": user \"x\" is "));

    EXPECT_THAT(Cells(*dataset, "as-is.price"), ElementsAre("2.5", "3.5", "null", "4.5"));
    EXPECT_THAT(Cells(*dataset, "as-is.list"), ElementsAre("[1,2]", "null", "null", "null"));
  }
}

TEST_F(PredictImportTest, WhatOnlyGoesAlongRefusesNoRow) {
  dir_.Write("in/a.csv", "user,order,bid\n1,1,0.5\n2,A-17,n/a\n3,3,inf\n4,\xff,1e999\n5,,-2\n");
  Configure("label: \"y\"", "id { columns: \"user\" type: INTEGER }");
  PrepareOptions options = ForPredictions();
  *options.more.Add() = AsIs("order", STRING_ID);
  *options.more.Add() = AsIs("bid", NUMBER);
  const auto input = PrepareInput(schema_, data_, options, FileSystem::Local());
  ASSERT_TRUE(input.ok()) << input.status().ToString();
  schema_.refused = kRefused;
  const auto dataset = MustOpen(schema_, input->test);
  EXPECT_THAT(Ids(ReadInOrder(*dataset).slots[0]), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(Cells(*dataset, "as-is.order"), ElementsAre("1", "A-17", "3", "null", "null"));
  EXPECT_THAT(Cells(*dataset, "as-is.bid"), ElementsAre("0.5", "null", "null", "null", "-2"));
}

// A record is a row. One whose quotes are wrong is as many as it has lines, and nothing goes along
// with them.
TEST_F(PredictImportTest, RecordsOfSeveralLinesKeepTheirPlaces) {
  dir_.Write(
      "in/a.csv",
      "user,note\nx,\"two\nlines\"\n2,b\n3,5\" pipe\n4,d\n\n5,6\" pipe\n6,f\n7,\"open\n8,h\n");
  Configure("label: \"y\" text { newlines_in_values: true }",
            "id { columns: \"user\" type: INTEGER }");
  PrepareOptions options = ForPredictions();
  *options.more.Add() = AsIs("note", STRING_ID);
  const auto input = PrepareInput(schema_, data_, options, FileSystem::Local());
  ASSERT_TRUE(input.ok()) << input.status().ToString();
  schema_.refused = kRefused;
  const auto dataset = MustOpen(schema_, input->test);
  const LaneRows rows = ReadInOrder(*dataset);
  EXPECT_THAT(rows.holes, ElementsAre(0, 2, 3, 4, 6, 7));
  EXPECT_THAT(Ids(rows.slots[0]), ElementsAre(2, 6));
  EXPECT_THAT(Cells(*dataset, "as-is.note"),
              ElementsAre("two\nlines", "b", "null", "null", "null", "f", "null", "null"));
  const auto refused = Cells(*dataset, kRefused);
  EXPECT_THAT(refused[4], HasSubstr("a.csv\t8\t\thas a line feed in a field without quotes"));
  EXPECT_THAT(refused[7], HasSubstr("a.csv\t11\t\ta quote is not closed"));
}

TEST_F(PredictImportTest, IdsAreReadAsTheCacheOrTheFirstTrainingFileTells) {
  Configure("label: \"y\"", "id { columns: [\"code\", \"number\"] }", "in/a.csv");
  std::vector<std::string> unknown;
  // Neither is there yet.
  const auto types = [&] {
    unknown.clear();
    const Schema schema = WithTrainedTypes(schema_, data_, FileSystem::Local(), &unknown);
    return std::vector<IdType>{schema.slots[0].type, schema.slots[1].type};
  };
  EXPECT_THAT(types(), ElementsAre(ANY, ANY));
  EXPECT_THAT(unknown, ElementsAre("code", "number"));
  dir_.Write("in/a.csv", "y,code,number\n1,a1,5\n0,77,6\n");
  EXPECT_THAT(types(), ElementsAre(STRING, INTEGER));
  EXPECT_TRUE(unknown.empty());
  MustPrepare();
  dir_.Write("in/a.csv", "y,code,number\n1,7,x\n");  // is not what training read
  EXPECT_THAT(types(), ElementsAre(STRING, INTEGER));
}

// What the config says of ids is for text: files that are read in place have types of their own.
TEST_F(PredictImportTest, IdsThatTrainingReadInPlaceAreWhatItsFileHas) {
  WriteParquet(dir_.Join("in.parquet"),
               {{"y", Values("int64", "[1, 0]")},
                {"code", Values("string", R"([null, null])")},
                {"number", Values("int64", "[null, null]")}},
               2);
  Configure("label: \"y\"", R"(id { columns: "code" } id { columns: "number" type: STRING })",
            "in.parquet");
  std::vector<std::string> unknown;
  const Schema typed = WithTrainedTypes(schema_, data_, FileSystem::Local(), &unknown);
  EXPECT_EQ(typed.slots[0].type, STRING);
  EXPECT_EQ(typed.slots[1].type, INTEGER);
  const auto open = [&](const std::string& code, const std::string& number) {
    WriteParquet(dir_.Join("new.parquet"),
                 {{"y", Values("int64", "[1, 0]")},
                  {"code", Values(code, "[null, null]")},
                  {"number", Values(number, "[null, null]")}},
                 2);
    DatasetOptions options{{dir_.Join("new.parquet")}, Seeds(typed)};
    options.check_types = true;
    return OpenDataset(typed, options).status().ToString();
  };
  EXPECT_EQ(open("string", "int32"), Status().ToString());
  EXPECT_THAT(open("string", "string"),
              HasSubstr("column \"number\" holds strings, training read integers: the model would "
                        "know none of them; write the column as what it was"));
  EXPECT_THAT(open("int64", "int64"),
              HasSubstr("column \"code\" holds integers, training read strings"));
}

}  // namespace
}  // namespace trestle
