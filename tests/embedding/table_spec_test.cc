#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/hash.h"
#include "embedding/table.h"

namespace trestle {
namespace {

Table SmallTable() {
  Table table;
  table.set_name("cate_id");
  table.set_dim(8);
  return table;
}

TEST(TableSpec, FillsEveryDefault) {
  const auto spec = MakeTableSpec(SmallTable(), 7);
  ASSERT_TRUE(spec.ok()) << spec.status().ToString();
  EXPECT_EQ(spec->name, "cate_id");
  EXPECT_EQ(spec->dim, 8);
  EXPECT_EQ(spec->seed, DeriveSeed(7, "table/cate_id"));
  EXPECT_EQ(spec->unseen, ZERO);
  EXPECT_EQ(spec->initializer.normal().mean(), 0.0f);
  EXPECT_EQ(spec->initializer.normal().std(), 0.01f);
  EXPECT_EQ(spec->optimizer.adagrad().lr(), 0.01f);
  EXPECT_EQ(spec->optimizer.adagrad().epsilon(), 1e-10f);
  EXPECT_EQ(spec->optimizer.l2(), 0.0f);
}

TEST(TableSpec, FillsDefaultsOfTheOptimizerChosen) {
  Table table = SmallTable();
  table.mutable_optimizer()->mutable_adam()->set_beta1(0.5f);
  const auto spec = MakeTableSpec(table, 7);
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->optimizer.adam().lr(), 0.001f);
  EXPECT_EQ(spec->optimizer.adam().beta1(), 0.5f);
  EXPECT_EQ(spec->optimizer.adam().beta2(), 0.999f);
  EXPECT_EQ(spec->optimizer.adam().epsilon(), 1e-8f);
}

TEST(TableSpec, FillsDefaultsOfMomentumRmsPropAndFtrl) {
  Table table = SmallTable();
  table.mutable_optimizer()->mutable_momentum();
  EXPECT_EQ(MakeTableSpec(table, 7)->optimizer.momentum().momentum(), 0.9f);
  table.mutable_optimizer()->mutable_rmsprop();
  EXPECT_EQ(MakeTableSpec(table, 7)->optimizer.rmsprop().decay(), 0.99f);
  table.mutable_optimizer()->mutable_ftrl();
  EXPECT_EQ(MakeTableSpec(table, 7)->optimizer.ftrl().beta(), 1.0f);
}

// From there alone a row of small evidence stays at 0.
TEST(TableSpec, RowsOfFtrlWithL1StartFromZero) {
  Table table = SmallTable();
  table.clear_initializer();
  table.mutable_optimizer()->mutable_ftrl();
  EXPECT_TRUE(MakeTableSpec(table, 7)->initializer.has_normal());
  table.mutable_optimizer()->mutable_ftrl()->set_l1(0.5f);
  EXPECT_TRUE(MakeTableSpec(table, 7)->initializer.has_constant());
  EXPECT_EQ(MakeTableSpec(table, 7)->initializer.constant().value(), 0.0f);
  table.mutable_initializer()->mutable_uniform()->set_high(1);
  EXPECT_TRUE(MakeTableSpec(table, 7)->initializer.has_uniform());
}

TEST(TableSpec, KeepsAnExplicitZero) {
  Table table = SmallTable();
  table.mutable_initializer()->mutable_normal()->set_std(0.0f);
  const auto spec = MakeTableSpec(table, 7);
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->initializer.normal().std(), 0.0f);
}

struct BadField {
  const char* message;
  std::function<void(Table*)> spoil;
};

TEST(TableSpec, NamesTheFieldThatIsOutOfRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const BadField cases[] = {
      {"tables[cate_id].optimizer.adagrad.lr: -1 is not above 0",
       [](Table* t) { t->mutable_optimizer()->mutable_adagrad()->set_lr(-1); }},
      {"tables[cate_id].optimizer.sgd.lr: nan is not above 0",
       [&](Table* t) { t->mutable_optimizer()->mutable_sgd()->set_lr(nan); }},
      {"tables[cate_id].optimizer.adam.beta2: 1 is not below 1",
       [](Table* t) { t->mutable_optimizer()->mutable_adam()->set_beta2(1); }},
      {"tables[cate_id].optimizer.rowwise_adagrad.epsilon: 0 is not above 0",
       [](Table* t) { t->mutable_optimizer()->mutable_rowwise_adagrad()->set_epsilon(0); }},
      {"tables[cate_id].optimizer.momentum.momentum: 1 is not below 1",
       [](Table* t) { t->mutable_optimizer()->mutable_momentum()->set_momentum(1); }},
      {"tables[cate_id].optimizer.rmsprop.decay: -1 is not at least 0",
       [](Table* t) { t->mutable_optimizer()->mutable_rmsprop()->set_decay(-1); }},
      {"tables[cate_id].optimizer.ftrl.beta: 0 is not above 0",
       [](Table* t) { t->mutable_optimizer()->mutable_ftrl()->set_beta(0); }},
      {"tables[cate_id].optimizer.l2: ftrl has its own; set optimizer.ftrl.l2",
       [](Table* t) {
         t->mutable_optimizer()->mutable_ftrl();
         t->mutable_optimizer()->set_l2(0.1f);
       }},
      {"tables[cate_id].optimizer.l2: -0.5 is not at least 0",
       [](Table* t) { t->mutable_optimizer()->set_l2(-0.5f); }},
      {"tables[cate_id].initializer.uniform.high: 0 is not above 0",
       [](Table* t) { t->mutable_initializer()->mutable_uniform(); }},
      {"tables[cate_id].initializer.xavier.rows: 0 is not at least 1",
       [](Table* t) { t->mutable_initializer()->mutable_xavier(); }},
      {"tables[cate_id].dim: 0 is not at least 1", [](Table* t) { t->set_dim(0); }},
      {"tables[cate_id].dim: 10000 is not at most 8192", [](Table* t) { t->set_dim(10000); }},
      {"tables[cate_id].dim: not given; set it here or at the feature",
       [](Table* t) { t->clear_dim(); }},
      {"tables.name: a table needs the name of the feature it belongs to",
       [](Table* t) { t->clear_name(); }},
  };
  for (const BadField& bad : cases) {
    Table table = SmallTable();
    bad.spoil(&table);
    const auto spec = MakeTableSpec(table, 7);
    ASSERT_FALSE(spec.ok()) << bad.message;
    EXPECT_EQ(spec.status().code(), StatusCode::kInvalidConfig);
    EXPECT_EQ(spec.status().root_message(), bad.message);
  }
}

}  // namespace
}  // namespace trestle
