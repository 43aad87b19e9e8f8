#include "worker/schema.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/worker/input_fixture.h"

namespace trestle {
namespace {

using testing::HasSubstr;

Status Mistakes(const std::string& data, const std::string& features) {
  return MakeSchema(Parse<Data>(data), Parse<Features>(features)).status();
}

TEST(Schema, TheDesignsExampleResolves) {
  const Schema schema = SchemaOf(R"(label: "clk" group: "userid")", R"(
      id { columns: ["adgroup_id", "cate_id", "brand"] dim: 32 }
      id { columns: ["userid", "pid"] dim: 8 }
      sequence { columns: ["hist_cate", "hist_brand"] like: ["cate_id", "brand"] keep_last: 20 }
      sequence { columns: ["words"] }
      numeric { columns: ["price"] transform: LOG1P scale: STANDARD missing: 0 })");
  ASSERT_EQ(schema.slots.size(), 8u);
  ASSERT_EQ(schema.tables.size(), 6u);
  EXPECT_EQ(schema.tables[1].name, "cate_id");
  EXPECT_EQ(schema.tables[1].dim, 32);
  EXPECT_EQ(schema.tables[4].dim, 8);
  EXPECT_EQ(schema.slots[0].sequence_group, -1);
  EXPECT_EQ(schema.slots[5].column, "hist_cate");
  EXPECT_EQ(schema.slots[5].table, 1);
  EXPECT_EQ(schema.slots[6].table, 2);
  EXPECT_EQ(schema.slots[5].sequence_group, schema.slots[6].sequence_group);
  EXPECT_NE(schema.slots[6].sequence_group, schema.slots[7].sequence_group);
  EXPECT_EQ(schema.slots[5].keep_last, 20);
  EXPECT_EQ(schema.slots[7].keep_last, 50);
  EXPECT_EQ(schema.tables[static_cast<size_t>(schema.slots[7].table)].name, "words");
  EXPECT_EQ(schema.tables[5].dim, 16);
  ASSERT_EQ(schema.numeric.size(), 1u);
  EXPECT_EQ(schema.numeric[0].transform, NumericFeature::LOG1P);
  EXPECT_EQ(schema.numeric[0].missing, 0.0f);
  EXPECT_EQ(schema.label, "clk");
  EXPECT_EQ(schema.group, "userid");
}

TEST(Schema, AllMistakesAreListedAtOnce) {
  const Status status = Mistakes(R"(label: "clk")", R"(
      id { columns: ["a", "a"] dim: 0 }
      id { columns: ["clk"] }
      id { }
      sequence { columns: ["h"] like: ["nowhere"] dim: 4 keep_last: 0 }
      sequence { columns: ["g", "i"] like: ["a"] }
      numeric { columns: ["a", ""] })");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kInvalidConfig);
  const std::string text = status.ToString();
  EXPECT_THAT(text, HasSubstr("features.id[0].columns: \"a\" is already used by features.id[0]"));
  EXPECT_THAT(text, HasSubstr("features.id[0].dim: 0 is out of range; allowed is 1 to 4096"));
  EXPECT_THAT(text, HasSubstr("\"clk\" is already used by data.label"));
  EXPECT_THAT(text, HasSubstr("features.id[2].columns: empty"));
  EXPECT_THAT(text, HasSubstr("no id feature is named \"nowhere\"; known: a"));
  EXPECT_THAT(text, HasSubstr("features.sequence[0].dim: the tables are shared"));
  EXPECT_THAT(text, HasSubstr("features.sequence[0].keep_last: 0 is out of range"));
  EXPECT_THAT(text, HasSubstr("features.sequence[1].like: 1 names for 2 columns"));
  EXPECT_THAT(text, HasSubstr("features.numeric[0].columns: \"a\" is already used"));
  EXPECT_THAT(text, HasSubstr("features.numeric[0].columns: a column has an empty name"));
}

TEST(Schema, MistakesInKindsOfColumnsAreListedAtOnce) {
  const std::string text = Mistakes(R"(label: "clk" weight: "w")", R"(
      id { columns: ["user", "item"] }
      sequence { columns: "seen" like: "item" hash_buckets: 9 }
      bag { columns: ["tags", "w"] keep_last: 0 separator: "::" }
      bag { columns: "seen" like: "user" dim: 3 }
      bucketize { columns: "price" }
      bucketize { columns: "age" bounds: [1, 3, 3] quantiles: 4 }
      bucketize { columns: "user" quantiles: 4 }
      cross { columns: "user" }
      cross { columns: ["user", "itm", "seen"] }
      cross { columns: ["age", "age"] table: "x" }
      cross { columns: ["user", "item"] table: "price" }
      cross { columns: ["user", "item"] table: "a/b" }
      numeric { columns: ["age", "age"] })")
                               .ToString();
  for (const char* mistake : {
           "features.sequence[0].hash_buckets: the tables are shared by `like`",
           "features.bag[0].keep_last: 0 is out of range",
           "features.bag[0].separator: \"::\" is not one byte",
           "features.bag[1].dim: the tables are shared by `like`",
           "features.bag[1].columns: \"seen\" is already used by features.sequence[0]",
           "features.bucketize[0]: has neither bounds nor quantiles; give one of the two",
           "features.bucketize[1]: has both bounds and quantiles; give one of the two",
           "features.bucketize[1].bounds: entry 3 is not above the one before it",
           "features.bucketize[2].columns: \"user\" is already used by features.id[0]",
           "features.cross[0].columns: name two or more columns to cross",
           "features.cross[1].columns: \"itm\" is no id or bucketize feature; did you mean "
           "\"item\"? there are user, item, price, age",
           "features.cross[1].columns: \"seen\" is no id or bucketize feature",
           "features.cross[2].columns: \"age\" is named twice",
           "features.cross[3].columns: \"price\" is already used by features.bucketize[0]",
           "features.cross[4].columns: \"a/b\" has a '/'",
           "features.numeric[0].columns: \"age\" is already used by features.bucketize[1]",
       }) {
    EXPECT_THAT(text, HasSubstr(mistake));
  }
}

// A numeric column or one that shares a table names no file.
TEST(Schema, TableNamesAreFileNames) {
  const std::string text = Mistakes(R"(label: "y/y")", R"(
      id { columns: ["a", "b/c"] }
      sequence { columns: "d/e" }
      sequence { columns: "f/g" like: "a" }
      numeric { columns: "h/i" })")
                               .ToString();
  EXPECT_THAT(text, HasSubstr("features.id[0].columns: \"b/c\" has a '/'"));
  EXPECT_THAT(text, HasSubstr("features.sequence[0].columns: \"d/e\" has a '/'"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

TEST(Schema, LabelAndFeaturesAreRequired) {
  EXPECT_THAT(Mistakes("", R"(id { columns: "a" })").ToString(),
              HasSubstr("data.label: not given"));
  EXPECT_THAT(Mistakes(R"(label: "y")", "").ToString(), HasSubstr("features: none given"));
  EXPECT_THAT(Mistakes(R"(label: "y" group: "y")", R"(id { columns: "a" })").ToString(),
              HasSubstr("data.group: \"y\" is the label"));
  EXPECT_THAT(Mistakes(R"(label: "y" weight: "y")", R"(id { columns: "a" })").ToString(),
              HasSubstr("data.weight: \"y\" is the label or the group"));
  EXPECT_THAT(Mistakes(R"(label: "y" max_weight: 5)", R"(id { columns: "a" })").ToString(),
              HasSubstr("data.max_weight: there is no data.weight to bound"));
  EXPECT_THAT(Mistakes(R"(label: "y" weight: "w" max_weight: 1e3 positive_weight: 1001)",
                       R"(id { columns: "a" })")
                  .ToString(),
              HasSubstr("data.positive_weight: times data.max_weight it is above 1000000"));
  EXPECT_THAT(Mistakes(R"(label: "y" weight: "a")", R"(id { columns: "a" })").ToString(),
              HasSubstr("features.id[0].columns: \"a\" is already used by data.weight"));
}

}  // namespace
}  // namespace trestle
