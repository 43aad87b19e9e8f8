// Every kind of column, from Parquet and through the import of CSV, against a naive computation on
// random rows.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <random>

#include "base/hash.h"
#include "tests/worker/import_fixture.h"
#include "worker/block_file.h"
#include "worker/bucket_bounds.h"
#include "worker/derived_keys.h"
#include "worker/import/key_counts.h"
#include "worker/negative_keep.h"

namespace trestle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Row {
  int64_t user = 0;
  std::optional<std::string> city;
  std::optional<double> price;
  std::vector<int64_t> tags;
  double weight = 1;
  int64_t click = 0;
};

std::string Text(double x) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.17g", x);
  return text;
}

std::string Quoted(std::string text) { return text.insert(0, 1, '"').append(1, '"'); }

std::vector<Row> RandomRows(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return random() % n; };
  std::vector<Row> rows(count);
  for (Row& row : rows) {
    row.user = static_cast<int64_t>(random()) >> below(64);
    if (below(10) > 0) row.city = "city " + std::to_string(below(20));
    // Equal ones among them, and whole ones, which the import stores as integers.
    if (below(10) > 0) row.price = below(3) ? static_cast<double>(below(40)) : below(1000) / 7.0;
    for (uint64_t t = below(5); t > 0; --t) row.tags.push_back(static_cast<int64_t>(below(30)));
    row.weight = static_cast<double>(below(9)) / 4;
    row.click = below(4) == 0;
  }
  return rows;
}

enum class From { kParquet, kCsv };

class ColumnKinds : public testing::TestWithParam<From> {
 protected:
  static constexpr size_t kRows = 500;

  ColumnKinds() : seed_(std::random_device()()), rows_(RandomRows(seed_, kRows)) {
    RecordProperty("seed", std::to_string(seed_));
    std::printf("seed %u\n", seed_);
    Write();
  }

  void Configure(const std::string& data, const std::string& features) {
    data_ = Parse<Data>("label: \"click\" order: TIME " + data);
    data_.add_train(dir_.Join(GetParam() == From::kParquet ? "a.parquet" : "a.csv"));
    data_.set_cache(dir_.Join("cache"));
    auto schema = MakeSchema(data_, Parse<Features>(features));
    CHECK(schema.ok()) << schema.status().ToString();
    schema_ = *std::move(schema);
  }

  std::unique_ptr<Dataset> OpenIt() {
    auto input = PrepareInput(schema_, data_, PrepareOptions(), FileSystem::Local());
    CHECK(input.ok()) << input.status().ToString();
    return MustOpen(schema_, input->train);
  }

  LaneRows Read(const std::string& data, const std::string& features) {
    Configure(data, features);
    const auto dataset = OpenIt();
    PlanOptions plan = WholePlan(1 << 20, 1);
    plan.bounds = BoundsOf(*dataset).value();
    return ReadInOrder(*dataset, plan);
  }

  uint64_t User(size_t i) const { return static_cast<uint64_t>(rows_[i].user); }
  uint64_t City(size_t i, uint64_t seed) const {
    return rows_[i].city ? StringKey(*rows_[i].city, seed).value : MissingKey(seed).value;
  }

  const TempDir dir_{"kinds"};
  const unsigned seed_;
  const std::vector<Row> rows_;
  Data data_;
  Schema schema_;

 private:
  void Write() const {
    std::string csv = "user,city,price,tags,weight,click\n";
    std::string city, price;
    std::vector<int64_t> user, click;
    std::vector<double> weight;
    std::vector<std::vector<int64_t>> tags;
    for (const Row& row : rows_) {
      std::string items;
      for (const int64_t tag : row.tags) {
        items.append(items.empty() ? "" : ";").append(std::to_string(tag));
      }
      const std::string amount = row.price ? Text(*row.price) : "";
      csv += std::to_string(row.user) + "," + row.city.value_or("") + "," + amount + "," + items +
             "," + Text(row.weight) + "," + std::to_string(row.click) + "\n";
      const char* const comma = city.empty() ? "[" : ", ";
      city.append(comma).append(row.city ? Quoted(*row.city) : "null");
      price.append(comma).append(row.price ? amount : "null");
      user.push_back(row.user);
      weight.push_back(row.weight);
      click.push_back(row.click);
      tags.push_back(row.tags);
    }
    dir_.Write("a.csv", csv);
    WriteParquet(dir_.Join("a.parquet"),
                 {{"user", Int64s(user)},
                  {"city", Values("string", city + "]")},
                  {"price", Values("double", price + "]")},
                  {"tags", Int64Lists(tags)},
                  {"weight", Doubles(weight)},
                  {"click", Int64s(click)}},
                 100);
  }
};

INSTANTIATE_TEST_SUITE_P(Files, ColumnKinds, testing::Values(From::kParquet, From::kCsv),
                         [](const auto& test) {
                           return test.param == From::kParquet ? "Parquet" : "Csv";
                         });

TEST_P(ColumnKinds, HashBucketsBoundTheKeysOfATable) {
  const LaneRows rows = Read("", R"(
      id { columns: ["user", "city"] hash_buckets: 13 }
      sequence { columns: "tags" separator: ";" hash_buckets: 7 })");
  ASSERT_EQ(rows.rows, static_cast<int64_t>(kRows));
  size_t item = 0;
  for (size_t i = 0; i < kRows; ++i) {
    EXPECT_EQ(rows.slots[0].keys[i].value, Mix64(User(i) ^ 1000) % 13);
    EXPECT_EQ(rows.slots[1].keys[i].value, Mix64(City(i, 1001) ^ 1001) % 13);
    for (const int64_t tag : rows_[i].tags) {
      EXPECT_EQ(rows.slots[2].keys[item++].value, Mix64(static_cast<uint64_t>(tag) ^ 1002) % 7);
    }
  }
  EXPECT_EQ(item, rows.slots[2].keys.size());
}

TEST_P(ColumnKinds, ListsShareTheHashBucketsOfTheTableThatTheyAreLike) {
  const LaneRows rows = Read("", R"(
      id { columns: "user" hash_buckets: 5 }
      sequence { columns: "tags" like: "user" separator: ";" keep_last: 2 })");
  size_t item = 0;
  for (const Row& row : rows_) {
    for (size_t t = row.tags.size() - std::min<size_t>(2, row.tags.size()); t < row.tags.size();
         ++t) {
      EXPECT_EQ(rows.slots[1].keys[item++].value,
                Mix64(static_cast<uint64_t>(row.tags[t]) ^ 1000) % 5);
    }
  }
}

TEST_P(ColumnKinds, BagsHoldTheItemsOfEachRow) {
  for (const int keep_last : {0, 2}) {
    const std::string keep = keep_last ? "keep_last: 2" : "";
    const LaneRows rows = Read("", R"(
        id { columns: "user" }
        bag { columns: "tags" separator: ";" pooling: MEAN )" +
                                       keep + "}");
    EXPECT_EQ(schema_.slots[1].pooling, MEAN);
    const JaggedKeys& bags = rows.slots[1];
    for (size_t i = 0; i < kRows; ++i) {
      std::vector<uint64_t> expected(rows_[i].tags.begin(), rows_[i].tags.end());
      if (keep_last && expected.size() > 2) expected.erase(expected.begin(), expected.end() - 2);
      std::vector<uint64_t> found;
      for (int32_t k = bags.offsets[i]; k < bags.offsets[i + 1]; ++k) {
        found.push_back(bags.keys[static_cast<size_t>(k)].value);
      }
      EXPECT_EQ(found, expected);
    }
  }
}

TEST_P(ColumnKinds, WeightsAreTheColumnTimesThatOfPositives) {
  const char* features = R"(id { columns: "user" })";
  EXPECT_THAT(Read("", features).weights, IsEmpty());
  const std::vector<float> both =
      Read(R"(weight: "weight" positive_weight: 1.5)", features).weights;
  const std::vector<float> of_class = Read("positive_weight: 0.5", features).weights;
  ASSERT_EQ(both.size(), kRows);
  for (size_t i = 0; i < kRows; ++i) {
    EXPECT_EQ(both[i], static_cast<float>(rows_[i].weight * (rows_[i].click ? 1.5 : 1)));
    EXPECT_EQ(of_class[i], rows_[i].click ? 0.5f : 1.0f);
  }
}

uint64_t NaiveBucket(const std::vector<double>& bounds, double x) {
  uint64_t bucket = 0;
  while (bucket < bounds.size() && x >= bounds[bucket]) ++bucket;
  return bucket;
}

TEST_P(ColumnKinds, NumbersFallBetweenGivenBounds) {
  const std::vector<double> bounds = {-1, 3, 10.5, 39};
  const LaneRows rows = Read("", R"(
      bucketize { columns: "price" bounds: [-1, 3, 10.5, 39] dim: 4 })");
  ASSERT_EQ(rows.rejected, 0);
  for (size_t i = 0; i < kRows; ++i) {
    const auto& price = rows_[i].price;
    EXPECT_EQ(rows.slots[0].keys[i].value,
              price ? NaiveBucket(bounds, *price) : MissingKey(1000).value);
  }
}

// In buckets of equal numbers of rows, the column taken as a number as well.
TEST_P(ColumnKinds, QuantilesAreThoseOfTheTrainingRows) {
  const LaneRows rows = Read("", R"(
      bucketize { columns: "price" quantiles: 8 }  numeric { columns: "price" missing: -5 })");
  std::vector<double> sorted, bounds;
  for (const Row& row : rows_) {
    if (row.price) sorted.push_back(*row.price);
  }
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 1; i < 8; ++i) {
    const double bound = sorted[i * sorted.size() / 8];
    if (bound > sorted[0] && (bounds.empty() || bound > bounds.back())) bounds.push_back(bound);
  }
  for (size_t i = 0; i < kRows; ++i) {
    const auto& price = rows_[i].price;
    EXPECT_EQ(rows.slots[0].keys[i].value,
              price ? NaiveBucket(bounds, *price) : MissingKey(1000).value);
    EXPECT_EQ(rows.numeric[i], static_cast<float>(price.value_or(-5)));
  }
}

TEST_P(ColumnKinds, ACrossIsAnIdOfItsOwn) {
  const LaneRows rows = Read("", R"(
      id { columns: "user" hash_buckets: 3 }  id { columns: "city" }
      bucketize { columns: "price" bounds: [5, 20] }
      cross { columns: ["user", "city"] }
      cross { columns: ["city", "user"] table: "turned" hash_buckets: 50 }
      cross { columns: ["city", "price", "user"] })");
  ASSERT_EQ(schema_.slots.size(), 6u);
  EXPECT_EQ(schema_.slots[3].column, "user_x_city");
  EXPECT_EQ(schema_.slots[5].column, "city_x_price_x_user");
  EXPECT_EQ(schema_.tables[4].name, "turned");
  const auto naive = [](uint64_t seed, std::vector<uint64_t> parts) {
    for (const uint64_t part : parts) seed = Mix64(Mix64(seed + 0x9E3779B97F4A7C15ull) + part);
    return seed;
  };
  for (size_t i = 0; i < kRows; ++i) {
    const uint64_t user = User(i), city = City(i, 1001), price = rows.slots[2].keys[i].value;
    EXPECT_EQ(rows.slots[3].keys[i].value, naive(1003, {user, city}));
    EXPECT_EQ(rows.slots[4].keys[i].value, Mix64(naive(1004, {city, user}) ^ 1004) % 50);
    EXPECT_EQ(rows.slots[5].keys[i].value, naive(1005, {city, price, user}));
  }
}

// The same rows however they are read, every positive among them; the ledger has them all.
TEST_P(ColumnKinds, NegativesAreKeptByTheirPlace) {
  Configure("", R"(numeric { columns: "price" missing: -1 } id { columns: "user" })");
  const auto dataset = OpenIt();
  const auto kept = [&](Order order, int lanes, int64_t epoch, uint64_t seed, double keep) {
    PlanOptions plan = WholePlan(64, lanes, order);
    plan.epoch = epoch;
    plan.seed = seed;
    plan.negative_keep = keep;
    Ledger ledger;
    std::vector<uint64_t> users;
    int64_t positives = 0;
    for (const auto& step : ReadAll(*dataset, plan, &ledger)) {
      for (const LaneRows& lane : step) {
        for (const uint64_t user : Ids(lane.slots[0])) users.push_back(user);
        positives += std::count(lane.labels.begin(), lane.labels.end(), 1.0f);
        EXPECT_EQ(lane.rejected, 0);
      }
    }
    EXPECT_EQ(ledger.read, static_cast<int64_t>(kRows));
    EXPECT_EQ(ledger.hash, dataset->ExpectedHash());
    EXPECT_EQ(ledger.rejected, 0);
    EXPECT_EQ(ledger.left_out + static_cast<int64_t>(users.size()), static_cast<int64_t>(kRows));
    EXPECT_EQ(positives, std::count_if(rows_.begin(), rows_.end(),
                                       [](const Row& row) { return row.click == 1; }));
    std::sort(users.begin(), users.end());
    return users;
  };
  const auto some = kept(TIME, 1, 0, 9, 0.3);
  const double negatives =
      static_cast<double>(kept(TIME, 1, 0, 9, 1).size() - kept(TIME, 1, 0, 9, 1e-9).size());
  const double left = static_cast<double>(some.size() - kept(TIME, 1, 0, 9, 1e-9).size());
  EXPECT_NEAR(left, 0.3 * negatives, 5 * std::sqrt(0.21 * negatives));
  EXPECT_EQ(kept(SHUFFLE, 4, 0, 9, 0.3), some);
  EXPECT_EQ(kept(SHUFFLE, 3, 5, 9, 0.3), some);
  EXPECT_NE(kept(TIME, 1, 0, 10, 0.3), some);
}

TEST(BucketBounds, QuantilesOfMoreRowsAreThoseOfAPartOfThem) {
  const int64_t rows = 20 * kQuantileRows;
  std::vector<double> cells;
  for (int64_t row = 0; row < rows; ++row) {
    if (IsQuantileRow(3, static_cast<uint64_t>(row), rows)) {
      cells.push_back(static_cast<double>(row) / static_cast<double>(rows));
    }
  }
  EXPECT_NEAR(static_cast<double>(cells.size()), kQuantileRows, 3000);  // 6 deviations
  const std::vector<double> bounds = QuantileBounds(cells, 10);
  ASSERT_EQ(bounds.size(), 9u);
  for (size_t i = 0; i < bounds.size(); ++i) {
    EXPECT_NEAR(bounds[i], 0.1 * static_cast<double>(i + 1), 0.006);
  }
  EXPECT_TRUE(IsQuantileRow(3, 4, kQuantileRows));
}

TEST(BucketBounds, EqualCellsMakeNoEmptyBuckets) {
  EXPECT_THAT(QuantileBounds({}, 4), IsEmpty());
  EXPECT_THAT(QuantileBounds({7, 7, 7, 7}, 4), IsEmpty());
  EXPECT_THAT(QuantileBounds({0, 0, 0, 0, 0, 0, 5, 9}, 4), ElementsAre(5));
  EXPECT_THAT(QuantileBounds({4, 1, 3, 2}, 2), ElementsAre(3));
}

TEST(NegativeKeep, CorrectionIsThatOfTheOdds) {
  for (const double keep : {0.1, 0.5, 1.0}) {
    for (const double p : {0.02, 0.5, 0.97}) {
      const double corrected = 1 / (1 + std::exp(-(std::log(p / (1 - p)) + LogitCorrection(keep))));
      EXPECT_NEAR(corrected, p / (p + (1 - p) / keep), 1e-7);
    }
  }
}

TEST(Weights, WhatIsNoWeightIsABadRow) {
  const TempDir dir{"kinds"};
  WriteParquet(dir.Join("f"),
               {{"y", Int64s({0, 0, 1, 0, 1, 0})},
                {"a", Int64s({0, 1, 2, 3, 4, 5})},
                {"w", Values("double", "[1, -0.5, 0, null, 1e300, 1000]")}},
               100);
  const Schema schema = SchemaOf(R"(label: "y" weight: "w" max_weight: 1e3 positive_weight: 1e3)",
                                 R"(id { columns: "a" })");
  std::string first;
  const auto steps = ReadAll(*MustOpen(schema, {dir.Join("f")}), WholePlan(9, 1), nullptr, &first);
  EXPECT_THAT(Ids(steps[0][0].slots[0]), ElementsAre(0, 2, 5));
  EXPECT_THAT(steps[0][0].weights, ElementsAre(1, 0, 1000));
  EXPECT_THAT(first, HasSubstr("row 1: w -0.5 is no weight: below 0 or does not fit a float"));
}

TEST(Weights, OneAboveTheMostIsABadRow) {
  const TempDir dir{"kinds"};
  WriteParquet(dir.Join("f"),
               {{"y", Int64s({0, 1, 1})},
                {"a", Int64s({0, 1, 2})},
                {"w", Values("double", "[100, 100.5, 100]")}},
               100);
  const auto read = [&](const std::string& data, std::string* first) {
    const Schema schema = SchemaOf(R"(label: "y" weight: "w" )" + data, R"(id { columns: "a" })");
    return ReadAll(*MustOpen(schema, {dir.Join("f")}), WholePlan(9, 1), nullptr, first)[0][0]
        .weights;
  };
  std::string first;
  EXPECT_THAT(read("positive_weight: 3", &first), ElementsAre(100, 300));
  EXPECT_THAT(first, HasSubstr("row 1: w 100.5, the weight, is above data.max_weight, 100"));
  EXPECT_THAT(read("max_weight: 101", &first), ElementsAre(100, 100.5, 100));
}

TEST_F(ImportTest, WeightsBelowZeroAreRejected) {
  dir_.Write("in/a.csv", "y,a,w\n0,1,-2\n1,2,\n1,3,0.5\n0,4,1e39\n");
  Configure(R"(label: "y" weight: "w" order: TIME)", R"(id { columns: "a" })");
  const PreparedInput input = MustPrepare();
  EXPECT_THAT(Rows(input.train).weights, ElementsAre(0.5));
  const std::string rejected = Rejected();
  EXPECT_THAT(rejected, HasSubstr("w -2, the weight, is below 0 or does not fit a float"));
  EXPECT_THAT(rejected, HasSubstr("w is missing, and it is the weight"));
  EXPECT_THAT(rejected, HasSubstr("w 1e+39, the weight, is below 0"));
}

TEST_F(ImportTest, TestFilesNeedNoWeights) {
  dir_.Write("in/a.csv", "y,a,w\n0,1,2\n1,2,3\n");
  dir_.Write("test/b.csv", "y,a\n1,7\n");
  Configure(R"(label: "y" weight: "w" order: TIME)", R"(id { columns: "a" })");
  data_.add_test(dir_.Join("test/b.csv"));
  const PreparedInput input = MustPrepare();
  EXPECT_THAT(Rows(input.train).weights, ElementsAre(2, 3));
  schema_.weight.clear();
  EXPECT_THAT(Ids(Rows(input.test).slots[0]), ElementsAre(7));
}

TEST(MeaningOfKeys, SaysWhichPartOfTheTime) {
  const Schema schema = SchemaOf(R"(label: "y")", R"(
      id { columns: "t" time: HOUR_OF_WEEK } id { columns: "a" hash_buckets: 9 }
      cross { columns: ["t", "a"] })");
  EXPECT_EQ(MeaningOfKeys(schema, {}, 0), "HOUR_OF_WEEK");
  EXPECT_EQ(MeaningOfKeys(schema, {}, 1), "in 9 hash buckets");
  EXPECT_EQ(MeaningOfKeys(schema, {}, 2), "cross of t (HOUR_OF_WEEK), a");
}

TEST_F(ImportTest, KindsComeFromJsonLinesToo) {
  dir_.Write("in/a.jsonl",
             "{\"y\": 1, \"a\": 3, \"n\": 2.5, \"w\": 2, \"t\": [7, 8]}\n"
             "{\"y\": 0, \"a\": 4, \"n\": null, \"w\": 0.5, \"t\": []}\n");
  Configure(R"(label: "y" weight: "w" order: TIME)", R"(id { columns: "a" } bag { columns: "t" }
      bucketize { columns: "n" bounds: [0, 2] } cross { columns: ["n", "a"] hash_buckets: 1 })");
  const LaneRows rows = Rows(MustPrepare().train);
  EXPECT_THAT(rows.weights, ElementsAre(2, 0.5));
  EXPECT_THAT(Ids(rows.slots[1]), ElementsAre(7, 8));
  EXPECT_THAT(rows.slots[1].offsets, ElementsAre(0, 2, 2));
  EXPECT_THAT(Ids(rows.slots[2]), ElementsAre(2, MissingKey(1002).value));
  EXPECT_THAT(Ids(rows.slots[3]), ElementsAre(0, 0));
}

TEST_F(ImportTest, KindsComeFromCriteoToo) {
  dir_.Write("in/day", "1\t5" + std::string(12, '\t') + "\tab" + std::string(25, '\t') + "\n0" +
                           std::string(39, '\t') + "\n");
  Configure(R"(label: "label" order: TIME text { format: CRITEO })", R"(
      id { columns: "C1" type: STRING hash_buckets: 100 } bucketize { columns: "I1" bounds: 5 }
      cross { columns: ["C1", "I1"] })");
  const LaneRows rows = Rows(MustPrepare().train);
  ASSERT_EQ(rows.rows, 2);
  EXPECT_EQ(rows.slots[0].keys[0].value, Mix64(StringKey("ab", 1000).value ^ 1000) % 100);
  EXPECT_EQ(rows.slots[0].keys[1].value, Mix64(MissingKey(1000).value ^ 1000) % 100);
  EXPECT_THAT(Ids(rows.slots[1]), ElementsAre(1, MissingKey(1001).value));
  EXPECT_NE(rows.slots[2].keys[0], rows.slots[2].keys[1]);
}

// What is done with the columns once they are blocks is no matter of the import.
TEST_F(ImportTest, CacheIsMadeAnewWhereASettingChangesWhatIsImported) {
  dir_.Write("in/a.csv", "y,a,b,n,w,t\n0,1,2,.5,1,3|4\n1,2,3,1,1,5\n");
  const auto imported = [&](const std::string& data, const std::string& features) {
    Configure("label: \"y\" " + data, "id { columns: [\"a\", \"b\"] } " + features);
    return MustPrepare().imported;
  };
  EXPECT_EQ(imported("", R"(bag { columns: "t" } bucketize { columns: "n" quantiles: 2 })"), 1);
  EXPECT_EQ(imported("positive_weight: 2 negative_keep: 0.5",
                     R"(bag { columns: "t" pooling: MEAN keep_last: 1 hash_buckets: 5 }
                        bucketize { columns: "n" bounds: [1, 2] }
                        cross { columns: ["a", "n"] hash_buckets: 10 })"),
            0);
  EXPECT_EQ(imported(R"(weight: "w")", R"(bag { columns: "t" }
                                          bucketize { columns: "n" bounds: 1 })"),
            1);
  EXPECT_EQ(imported("", R"(bag { columns: "t" separator: ";" type: STRING }
                            bucketize { columns: "n" bounds: 1 })"),
            1);
}

TEST_F(ImportTest, KeysOfCrossesAndBucketsAreCountedToo) {
  dir_.Write("in/a.csv", "y,a,n\n0,1,1\n1,1,9\n0,2,1\n1,1,2\n");
  Configure(R"(label: "y")", R"(id { columns: "a" } bucketize { columns: "n" quantiles: 2 }
                                cross { columns: ["a", "n"] })");
  ThreadPool pool(2);
  ASSERT_TRUE(WriteKeyCounts(schema_, {MustPrepare().train, Seeds(schema_)}, dir_.Join("counts"),
                             int64_t{64} << 20, pool, FileSystem::Local())
                  .ok());
  EXPECT_EQ(OpenBlockFile(dir_.Join("counts/a.arrow")).value()->block_rows()[0], 2);
  EXPECT_EQ(OpenBlockFile(dir_.Join("counts/n.arrow")).value()->block_rows()[0], 2);
  EXPECT_EQ(OpenBlockFile(dir_.Join("counts/a_x_n.arrow")).value()->block_rows()[0], 3);
}

TEST(BucketizedColumn, WhatIsNoNumberIsABadRow) {
  const TempDir dir{"kinds"};
  const double inf = std::numeric_limits<double>::infinity();
  WriteParquet(dir.Join("f"), {{"y", Int64s({0, 0, 1})}, {"n", Doubles({1, std::nan(""), -inf})}},
               100);
  const Schema schema = SchemaOf(R"(label: "y")", R"(bucketize { columns: "n" bounds: 0 })");
  std::string first;
  const auto steps = ReadAll(*MustOpen(schema, {dir.Join("f")}), WholePlan(9, 1), nullptr, &first);
  EXPECT_EQ(steps[0][0].rejected, 2);
  EXPECT_THAT(Ids(steps[0][0].slots[0]), ElementsAre(1));
  EXPECT_THAT(first, HasSubstr("row 1: n is nan"));
}

}  // namespace
}  // namespace trestle
