// What is said of evaluations, and the config that asks for them.
#include "launcher/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "launcher/config.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Of a config with `more`; "" if it is good.
std::string EvalErrorsOf(const std::string& more, const std::string& test = "test: \"t\"") {
  const TempDir dir{"evaluation"};
  const std::string path =
      dir.Write("c.textproto", "data { train: \"d\" label: \"y\" " + test + " }\n" +
                                   "model { base {} }\n" + more + "\n");
  const auto loaded = LoadConfig(path, {});
  return loaded.ok() ? "" : loaded.status().ToString();
}

TEST(EvaluationConfig, MistakesAreNamedWithTheirPlace) {
  EXPECT_EQ(EvalErrorsOf("train { eval_every_steps: 5 patience: 2 keep_best: true }\n"
                     "eval { set { name: \"new\" files: \"n\" } slices: [\"age\", \"city\"] }"),
            "");
  EXPECT_THAT(EvalErrorsOf("eval { set { files: \"n\" } }"),
              HasSubstr("3:8: eval.set[0]: has no name"));
  EXPECT_THAT(EvalErrorsOf("eval { set { name: \"test\" files: \"n\" } }"),
              HasSubstr("\"test\" is another set already, the one of data.test"));
  EXPECT_THAT(
      EvalErrorsOf("eval { set { name: \"a\" files: \"n\" } set { name: \"a\" files: \"m\" } }"),
      HasSubstr("eval.set[1].name: \"a\" is another set already"));
  EXPECT_THAT(EvalErrorsOf("eval { set { name: \"a\" } }"), HasSubstr("eval.set[0].files: missing"));
  EXPECT_THAT(EvalErrorsOf("eval { slices: [\"a\", \"a\"] }"),
              HasSubstr("eval.slices[1]: \"a\" is there already"));
  EXPECT_THAT(EvalErrorsOf("eval { slices: \"\" }"), HasSubstr("a column has an empty name"));
  EXPECT_THAT(EvalErrorsOf("eval { monitor: GAUC }"),
              HasSubstr("eval.monitor: GAUC needs data.group, the column of the groups"));
  EXPECT_THAT(EvalErrorsOf("train { patience: 0 }"), HasSubstr("allowed: at least 1"));
}

TEST(EvaluationConfig, WhatNeedsEvaluationsNeedsFilesToEvaluate) {
  EXPECT_THAT(EvalErrorsOf("train { patience: 2 }", ""),
              HasSubstr("train.patience: there is nothing to evaluate; name files in data.test or "
                        "eval.set, or set data.holdout"));
  for (const char* field : {"eval_every_steps: 5", "patience: 2", "keep_best: true"}) {
    const std::string train = std::string("train { ") + field + " }";
    EXPECT_THAT(EvalErrorsOf(train, ""), HasSubstr("there is nothing to evaluate; name files in"));
    EXPECT_EQ(EvalErrorsOf(train, "holdout: 0.1"), "");
    EXPECT_EQ(EvalErrorsOf(train + " eval { set { name: \"a\" files: \"n\" } }", ""), "");
  }
}

TEST(EvaluationText, ThereIsNoGaucOfAVeryLargeSet) {
  EXPECT_TRUE(CheckMonitored(Eval::GAUC, "test", kMostExactRows).ok());
  EXPECT_TRUE(CheckMonitored(Eval::AUC, "test", kMostExactRows + 1).ok());
  const Status status = CheckMonitored(Eval::GAUC, "test", kMostExactRows + 1);
  EXPECT_EQ(status.code(), StatusCode::kInvalidConfig);
  EXPECT_EQ(status.ToString(),
            "eval.monitor: there is no GAUC of more than 50,000,000 rows, and test has 50,000,001; "
            "take AUC, or put a smaller set first");
}

TEST(EvaluationText, SlicesAreAnAlignedTable) {
  SlicedColumn column{"city", false, {}, 0, 0};
  column.slices.push_back({"Berlin", 1'234, 56, 0.71239, 0.25, 1.01});
  column.slices.push_back({"(missing)", 7, 0, std::nan(""), 0.125, std::nan("")});
  column.slices.push_back({"Köln", 6, 1, 0.5, 0.5, 2});
  EXPECT_THAT(
      SliceLines("test", column),
      ElementsAre("  test by city   rows  positives     auc  log loss  predicted/observed",
                  "  Berlin        1,234         56  0.7124    0.2500              1.0100",
                  "  (missing)         7          0       -    0.1250                   -",
                  "  Köln              6          1  0.5000    0.5000              2.0000"));
  for (int i = 0; i < 19; ++i) column.slices.push_back({"x", 5, 1, 0.5, 0.5, 1});
  column.other_values = 3;
  column.other_rows = 4;
  EXPECT_EQ(SliceLines("test", column).back(),
            "  and 5 more values, 14 rows of them; metrics.jsonl has the first 1,000 values");
  column.too_many = true;
  EXPECT_THAT(SliceLines("test", column),
              ElementsAre("test by city: not sliced: more than 65,536 values, or one above 256 "
                          "bytes"));
}

TEST(EvaluationText, ValuesOfSlicesStayInTheirLines) {
  SlicedColumn column{"city", false, {}, 0, 0};
  std::string text = "a\n\x1b";
  for (int i = 0; i < 20; ++i) text += "ö";
  column.slices.push_back({text, 1, 1, 1, 1, 1});
  const auto lines = SliceLines("test", column);
  ASSERT_EQ(lines.size(), 2u);
  std::string shown = "  a\\n\\x1b";
  for (int i = 0; i < 18; ++i) shown += "ö";  // 39 bytes: 40 would cut one
  EXPECT_THAT(lines[1], StartsWith(shown + "... "));
  for (int i = 0; i < 20; ++i) column.slices.push_back({"x", 1, 1, 1, 1, 1});
  EXPECT_EQ(SliceLines("test", column).back(),
            "  and 1 more value, 1 row of them; metrics.jsonl has all values");
}

TEST(EvaluationText, ABestThatCouldNotBeSavedIsNotSaidToBeTheOneThatIs) {
  EvaluationRecord record;
  record.set_best_step(7);
  EXPECT_EQ(BestSavedText(record), "");
  record.set_checkpoint("step-00000007.1");
  EXPECT_EQ(BestSavedText(record), ": step-00000007.1");
  record.set_checkpoint("step-00000004.1");
  EXPECT_EQ(BestSavedText(record), ", not saved; the best saved is step-00000004.1");
}

TEST(EvaluationText, TheMonitoredValueIsThatOfTheMetric) {
  Metrics metrics;
  metrics.auc = 0.7;
  metrics.log_loss = 0.3;
  EXPECT_EQ(MonitoredValue(Eval::AUC, metrics), 0.7);
  EXPECT_EQ(MonitoredValue(Eval::LOG_LOSS, metrics), 0.3);
  EXPECT_TRUE(std::isnan(MonitoredValue(Eval::GAUC, metrics)));
  metrics.gauc = 0.6;
  EXPECT_EQ(MonitoredValue(Eval::GAUC, metrics), 0.6);
  EXPECT_EQ(MonitoredName(Eval::LOG_LOSS, "new_users"), "LOG_LOSS of new_users");
}

}  // namespace
}  // namespace trestle
