// The import for predictions: every row of the text keeps its place, columns go along as they are,
// and ids are read as training read them.
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
    for (const char* column : {"price", "list"}) *options.more.Add() = AsIs(column, ANY_ID);
    ASSERT_TRUE(WouldImport(schema_, data_, options));
    const auto input = PrepareInput(schema_, data_, options, FileSystem::Local());
    ASSERT_TRUE(input.ok()) << input.status().ToString();
    EXPECT_THAT(said_, HasSubstr("importing 1 file, 0.0 MB, into "));

    schema_.refused = kRefused;
    const auto dataset = MustOpen(schema_, input->test);
    std::string first;
    Ledger ledger;
    const auto steps = ReadAll(*dataset, WholePlan(100, 1), &ledger, &first);
    EXPECT_EQ(ledger.read, 4);
    EXPECT_THAT(steps[0][0].holes, ElementsAre(1, 2));
    EXPECT_THAT(Ids(steps[0][0].slots[0]), ElementsAre(1, 4));
    EXPECT_THAT(first, HasSubstr(path + ", line " + (json ? "2" : "3") + ": user \"x\" is "));

    const auto columns = InputColumns::Open({dataset->files()[0].path},
                                            {"as-is.price", "as-is.list"}, "--columns", true);
    ASSERT_TRUE(columns.ok()) << columns.status().ToString();
    EXPECT_EQ(columns->Read(0).value().size(), 2u);
  }
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

}  // namespace
}  // namespace trestle
