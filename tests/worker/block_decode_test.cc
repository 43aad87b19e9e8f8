// Columns of every allowed type through real files, and every reason for which a row is rejected.
#include <gmock/gmock.h>

#include <cmath>

#include "base/hash.h"
#include "tests/worker/input_fixture.h"

namespace trestle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

enum class Format { kParquet, kIpc };

class ColumnTypes : public testing::TestWithParam<Format> {
 protected:
  void Write(const std::string& name, const std::vector<FileColumn>& columns, int64_t rows = 100) {
    if (GetParam() == Format::kParquet) {
      WriteParquet(dir_.Join(name), columns, rows);
    } else {
      WriteIpc(dir_.Join(name), columns, rows);
    }
  }
  // The one id column of a file, and the lists of `h`.
  LaneRows Read(const Schema& schema) { return ReadInOrder(*MustOpen(schema, {dir_.Join("*")})); }

  TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Formats, ColumnTypes, testing::Values(Format::kParquet, Format::kIpc),
                         [](const auto& test) {
                           return test.param == Format::kParquet ? "Parquet" : "Ipc";
                         });

TEST_P(ColumnTypes, IntegersAreTheirOwnKeys) {
  const Schema schema = SchemaOf(R"(label: "y")", R"(id { columns: "a" })");
  const uint64_t missing = MissingKey(1000).value;
  for (const char* type : {"int8", "int16", "int32", "int64"}) {
    Write("f", {{"y", Values("int8", "[0, 1, 0]")}, {"a", Values(type, "[-1, 7, null]")}});
    EXPECT_THAT(Ids(Read(schema).slots[0]), ElementsAre(~uint64_t{0}, 7, missing)) << type;
  }
  for (const char* type : {"uint8", "uint16", "uint32", "uint64"}) {
    Write("f", {{"y", Values("int8", "[0, 1, 0]")}, {"a", Values(type, "[200, 7, 0]")}});
    const LaneRows rows = Read(schema);
    EXPECT_THAT(Ids(rows.slots[0]), ElementsAre(200, 7, 0)) << type;
    EXPECT_THAT(rows.slots[0].offsets, ElementsAre(0, 1, 2, 3));
  }
}

TEST_P(ColumnTypes, StringsAreHashedWithTheTablesSeed) {
  const Schema schema = SchemaOf(R"(label: "y")", R"(id { columns: ["b", "a"] })");
  for (const char* type : {"string", "large_string", "dictionary<string>"}) {
    Write("f", {{"y", Values("int8", "[0, 1, 0, 1]")},
                {"b", Values("int64", "[1, 2, 3, 4]")},
                {"a", Values(type, R"(["x", null, "", "x"])")}});
    EXPECT_THAT(Ids(Read(schema).slots[1]),
                ElementsAre(StringKey("x", 1001).value, MissingKey(1001).value,
                            StringKey("", 1001).value, StringKey("x", 1001).value))
        << type;
  }
}

TEST_P(ColumnTypes, ListsKeepTheLastItemsAndNullIsEmpty) {
  const Schema schema = SchemaOf(R"(label: "y")", R"(sequence { columns: "h" keep_last: 2 })");
  for (const char* type :
       {"list<int64>", "list<int32>", "large_list<int64>", "large_list<uint16>"}) {
    Write("f", {{"y", Values("int8", "[0, 1, 0, 1]")},
                {"h", Values(type, "[[1, 2, 3], null, [], [9]]")}});
    const LaneRows rows = Read(schema);
    EXPECT_THAT(Ids(rows.slots[0]), ElementsAre(2, 3, 9)) << type;
    EXPECT_THAT(rows.slots[0].offsets, ElementsAre(0, 2, 2, 2, 3)) << type;
  }
  for (const char* type : {"list<string>", "large_list<large_string>"}) {
    Write("f", {{"y", Values("int8", "[0, 1]")}, {"h", Values(type, R"([["a"], ["b", "a"]])")}});
    const uint64_t a = StringKey("a", 1000).value, b = StringKey("b", 1000).value;
    EXPECT_THAT(Ids(Read(schema).slots[0]), ElementsAre(a, b, a)) << type;
  }
}

TEST_P(ColumnTypes, LabelsNumbersAndGroups) {
  const Schema schema = SchemaOf(R"(label: "y" group: "g")", R"(id { columns: "g" }
      numeric { columns: ["n", "m"] missing: -1 })");
  for (const char* label : {"bool", "uint8", "double"}) {
    const char* labels = label == std::string("bool") ? "[false, true]" : "[0, 1]";
    for (const char* type : {"int8", "uint64", "float", "double", "halffloat"}) {
      Write("f", {{"y", Values(label, labels)},
                  {"g", Values("string", R"(["u", "v"])")},
                  {"n", Values(type, "[3, null]")},
                  {"m", Values("int32", "[5, 6]")}});
      const LaneRows rows = Read(schema);
      EXPECT_THAT(rows.labels, ElementsAre(0, 1));
      EXPECT_THAT(rows.numeric, ElementsAre(3, 5, -1, 6)) << type;
      EXPECT_THAT(rows.groups, ElementsAre(Hash64("u"), Hash64("v")));
    }
  }
}

TEST_P(ColumnTypes, BadRowsLeaveHolesAndAreExplained) {
  const Schema schema = SchemaOf(R"(label: "y")", R"(id { columns: "a" }
      sequence { columns: ["h", "k"] }  numeric { columns: "n" })");
  Write("f", {{"y", Values("double", "[0, 2, null, 1, 0, 1, 1, 0.5]")},
              {"a", Values("int64", "[0, 1, 2, 3, 4, 5, 6, 7]")},
              {"h", Values("list<int64>", "[[1], [], [], [1], [1, null], [], [4], [1]]")},
              {"k", Values("list<int64>", "[[1], [], [], [1, 2], [1, 3], [], [5], []]")},
              {"n", Values("double", "[1, 1, 1, 1, 1, null, 3, 1]")}});
  PlanOptions plan = WholePlan(100, 1);
  plan.reject_path = dir_.Join("../" + dir_.path().substr(dir_.path().rfind('/') + 1) + ".rejects");
  const auto dataset = MustOpen(schema, {dir_.Join("f")});
  Ledger ledger;
  std::string first;
  const auto steps = ReadAll(*dataset, plan, &ledger, &first);
  const std::string rejects = FileSystem::Local().Read(plan.reject_path).value();
  ASSERT_TRUE(FileSystem::Local().Remove(plan.reject_path).ok());
  EXPECT_THAT(Ids(steps[0][0].slots[0]), ElementsAre(0, 6));
  EXPECT_THAT(steps[0][0].labels, ElementsAre(0, 1));
  EXPECT_EQ(steps[0][0].rejected, 6);
  EXPECT_EQ(ledger.read, 8);
  EXPECT_EQ(ledger.rejected, 6);
  EXPECT_EQ(ledger.hash, dataset->ExpectedHash());
  const std::string f = dir_.Join("f");
  EXPECT_EQ(first, f + ", row 1: label 2 is not 0 or 1");
  EXPECT_EQ(rejects, f + "\t1\ty\tlabel 2 is not 0 or 1\n" + f + "\t2\ty\tlabel is null\n" + f +
                         "\t3\tk\tk has 2 items, h has 1\n" + f + "\t4\th\th holds a null item\n" +
                         f + "\t5\tn\tn is null and the feature has no `missing` value\n" + f +
                         "\t7\ty\tlabel 0.5 is not 0 or 1\n");
}

TEST_P(ColumnTypes, NumbersThatAreNotFiniteAreBad) {
  const Schema schema = SchemaOf(R"(label: "y")", R"(numeric { columns: "n" })");
  const double inf = std::numeric_limits<double>::infinity();
  Write("f", {{"y", Int64s({0, 0, 0, 0, 0})}, {"n", Doubles({1, std::nan(""), inf, -inf, 1e300})}});
  std::string first;
  const auto steps = ReadAll(*MustOpen(schema, {dir_.Join("f")}), WholePlan(9, 1), nullptr, &first);
  EXPECT_EQ(steps[0][0].rejected, 4);
  EXPECT_THAT(steps[0][0].numeric, ElementsAre(1));
  EXPECT_THAT(first, HasSubstr("row 1: n is nan"));
}

}  // namespace
}  // namespace trestle
