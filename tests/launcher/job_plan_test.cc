// What follows from a config alone.
#include "launcher/job_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using testing::HasSubstr;

constexpr char kConfig[] = R"(data { train: "t.parquet" label: "y" }
features {
  id { columns: ["item", "brand"] dim: 8 }
  id { columns: "user" dim: 4 }
  sequence { columns: "hist_item" like: "item" }
  sequence { columns: "hist_tag" dim: 2 }
  numeric { columns: ["price", "age"] }
}
model { din { candidate: "item" history: "hist_item" mlp { units: [8] } } }
optimizer { embedding { adagrad { lr: 0.5 } } }
batch { rows: 1000 lanes: 7 }
train { seed: 3 }
)";

class JobPlans : public testing::Test {
 protected:
  Result<JobPlan> Plan(const std::string& more = "", const std::vector<std::string>& set = {},
                       const std::string& config = kConfig) {
    const auto loaded = LoadConfig(dir_.Write("c.textproto", config + more), set);
    CHECK(loaded.ok()) << loaded.status().ToString();
    return MakeJobPlan(*loaded);
  }
  JobPlan Good(const std::string& more = "", const std::vector<std::string>& set = {}) {
    auto plan = Plan(more, set);
    CHECK(plan.ok()) << plan.status().ToString();
    return *std::move(plan);
  }
  std::string Errors(const std::string& more, const std::vector<std::string>& set = {}) {
    const Status status = Plan(more, set).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidConfig) << status.ToString();
    return status.root_message();
  }
  static const TableSpec& TableOf(const JobPlan& plan, const std::string& name) {
    for (const TableSpec& table : plan.tables) {
      if (table.name == name) return table;
    }
    LOG(FATAL) << "no table " << name;
  }
  TempDir dir_;
};

TEST_F(JobPlans, EveryTableGetsItsFeaturesDimAndTheCommonOptimizer) {
  const JobPlan plan = Good();
  ASSERT_EQ(plan.tables.size(), 4u);
  EXPECT_EQ(TableOf(plan, "item").dim, 8);
  EXPECT_EQ(TableOf(plan, "user").dim, 4);
  EXPECT_EQ(TableOf(plan, "hist_tag").dim, 2);
  for (const TableSpec& table : plan.tables) {
    EXPECT_EQ(table.optimizer.adagrad().lr(), 0.5f) << table.name;
  }
}

TEST_F(JobPlans, AnEntryOfTablesChangesThatTableAlone) {
  const JobPlan plan = Good(R"(tables { name: "item" dim: 32 optimizer { sgd { lr: 2 } }
                                        initializer { constant { value: 1 } } unseen: INIT })");
  const TableSpec& item = TableOf(plan, "item");
  EXPECT_EQ(item.dim, 32);
  EXPECT_EQ(item.optimizer.sgd().lr(), 2.0f);
  EXPECT_EQ(item.initializer.constant().value(), 1.0f);
  EXPECT_EQ(item.unseen, INIT);
  const TableSpec& brand = TableOf(plan, "brand");
  EXPECT_EQ(brand.dim, 8);
  EXPECT_TRUE(brand.optimizer.has_adagrad());
  EXPECT_EQ(brand.unseen, ZERO);
}

TEST_F(JobPlans, AnEntryWithoutAnOptimizerKeepsTheCommonOne) {
  EXPECT_EQ(TableOf(Good(R"(tables { name: "item" dim: 32 })"), "item").optimizer.adagrad().lr(),
            0.5f);
}

TEST_F(JobPlans, ADimThatAnEntryChangesReachesTheSchemaAndTheModelsInputs) {
  const JobPlan plan = Good("", {"tables[item].dim=24"});
  for (size_t s = 0; s < plan.schema.slots.size(); ++s) {
    const Slot& slot = plan.schema.slots[s];
    const std::string& table = plan.schema.tables[slot.table].name;
    EXPECT_EQ(plan.slot_tables[s], slot.table);
    EXPECT_EQ(plan.inputs.slots[s].dim, TableOf(plan, table).dim) << slot.column;
    if (slot.column == "item" || slot.column == "hist_item") {
      EXPECT_EQ(plan.inputs.slots[s].dim, 24);
    }
  }
}

TEST_F(JobPlans, TablesFollowTheSchemaAndInputsItsSlots) {
  const JobPlan plan = Good();
  ASSERT_EQ(plan.tables.size(), plan.schema.tables.size());
  for (size_t t = 0; t < plan.tables.size(); ++t) {
    EXPECT_EQ(plan.tables[t].name, plan.schema.tables[t].name);
    EXPECT_EQ(plan.tables[t].seed, plan.TableSeeds()[t]);
  }
  ASSERT_EQ(plan.inputs.slots.size(), 5u);
  EXPECT_EQ(plan.inputs.numeric_width, 2);
}

TEST_F(JobPlans, SeedsDifferByTableAndFollowTheRunsSeed) {
  const JobPlan a = Good(), b = Good("", {"train.seed=4"}), c = Good();
  const auto seeds = a.TableSeeds();
  EXPECT_EQ(std::set<uint64_t>(seeds.begin(), seeds.end()).size(), seeds.size());
  EXPECT_EQ(seeds, c.TableSeeds());
  for (size_t t = 0; t < seeds.size(); ++t) EXPECT_NE(seeds[t], b.TableSeeds()[t]);
  EXPECT_EQ(a.seed, 3u);
  EXPECT_EQ(b.Backend({}, 1).seed, 4u);
}

TEST_F(JobPlans, ATablesSeedDoesNotDependOnTheOthers) {
  std::string fewer = kConfig;
  fewer.replace(fewer.find("[\"item\", \"brand\"]"), 17, "[\"item\"]");
  const auto plan = Plan("", {}, fewer);
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  EXPECT_EQ(TableOf(*plan, "user").seed, TableOf(Good(), "user").seed);
}

TEST_F(JobPlans, LaneRowsAreTheMostThatALaneCanHave) {
  for (const auto& [rows, lanes, most] :
       std::vector<std::tuple<int, int, int>>{{1000, 7, 143}, {1000, 10, 100}, {1, 1, 1}}) {
    const JobPlan plan =
        Good("", {"batch.rows=" + std::to_string(rows), "batch.lanes=" + std::to_string(lanes)});
    EXPECT_EQ(plan.batch_rows, rows);
    EXPECT_EQ(plan.lanes, lanes);
    EXPECT_EQ(plan.lane_rows, most);
    EXPECT_EQ(plan.Backend({}, 2).lane_rows, most);
    EXPECT_EQ(plan.unit.fraction_bits(), FixedUnit::ForLaneRows(most).fraction_bits());
  }
}

TEST_F(JobPlans, LargeLanesTakeCoarserUnits) {
  EXPECT_LT(Good("", {"batch.rows=65536", "batch.lanes=4"}).unit.fraction_bits(),
            Good("", {"batch.rows=65536", "batch.lanes=256"}).unit.fraction_bits());
}

// As a lane of so many times the rows: nobody's step may be bad for the weights that were allowed.
TEST_F(JobPlans, WeightsTakeCoarserUnitsAndNoWeightsTheSame) {
  const auto bits = [&](const std::vector<std::string>& set) {
    return Good("", set).unit.fraction_bits();
  };
  const std::string weight = "data.weight=w", rows = "batch.rows=1792";  // 256 a lane
  EXPECT_EQ(bits({rows}), 40);
  EXPECT_EQ(bits({rows, "data.positive_weight=2"}), 40);
  EXPECT_EQ(bits({rows, "data.positive_weight=0.5"}), 40);
  EXPECT_EQ(bits({rows, "data.positive_weight=1000"}), 31);
  EXPECT_EQ(bits({rows, weight}), 34) << "up to 100";
  EXPECT_EQ(bits({rows, weight, "data.max_weight=1"}), 40);
  EXPECT_EQ(bits({rows, weight, "data.max_weight=600", "data.positive_weight=2"}), 30);
  const FixedUnit unit = Good("", {rows, weight}).unit;
  EXPECT_EQ(Good("", {rows, weight}).Backend({}, 2).lane_rows, 25'600);
  EXPECT_TRUE(unit.IsTerm(256 * 100 * std::log(2.0f))) << "the losses of a lane at the first step";
}

TEST_F(JobPlans, AnEntryForNoTableIsAnErrorThatListsThem) {
  const std::string text = Errors("tables { name: \"itme\" dim: 32 }\n");
  EXPECT_THAT(text, HasSubstr("c.textproto:13:16: tables[itme].name: no feature has this table"));
  EXPECT_THAT(text, HasSubstr("there are item, brand, user, hist_tag"));
}

TEST_F(JobPlans, AllMistakesAreListedWithTheirPlaces) {
  const std::string text = Errors(
      "tables { name: \"itme\" }\n"
      "tables { name: \"user\" initializer { uniform { low: 2 high: 1 } } }\n",
      {"model.din.candidate=item,nothing"});
  EXPECT_THAT(text, HasSubstr("c.textproto:13:16: tables[itme].name"));
  EXPECT_THAT(text, HasSubstr("c.textproto:14:"));
  EXPECT_THAT(text, HasSubstr("--set model.din.candidate=item,nothing: "));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
}

TEST_F(JobPlans, ASchemaThatDoesNotHoldIsAnErrorWithItsPlace) {
  std::string config = kConfig;
  config.replace(config.find("like: \"item\""), 12, "like: \"itms\"");
  const Status status = Plan("", {}, config).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidConfig);
  EXPECT_THAT(status.ToString(), HasSubstr("c.textproto:5:"));
}

}  // namespace
}  // namespace trestle
