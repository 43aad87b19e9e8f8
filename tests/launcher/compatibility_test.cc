// What may change between a checkpoint and the run that goes on from it, and what is said where it
// may not.
#include "launcher/compatibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kConfig[] = R"(data { train: "t.parquet" label: "y" }
features {
  id { columns: ["item", "brand"] dim: 8 }
  sequence { columns: "hist" like: "item" }
  numeric { columns: "price" }
}
model { din { candidate: "item" history: "hist" mlp { units: [8] } } }
optimizer { embedding { adam { lr: 0.5 } } }
batch { rows: 64 lanes: 4 }
train { seed: 3 epochs: 5 }
)";

class Compatibility : public testing::Test {
 protected:
  Compatibility() {
    const LoadedConfig loaded = Load(kConfig, {});
    const JobPlan plan = PlanOf(loaded);
    checkpoint_.set_name("step-00001200.2");
    checkpoint_.mutable_cursor()->set_step(1200);
    checkpoint_.mutable_run()->set_instruction_set("avx2");
    checkpoint_.set_config(Canonical(loaded.config));
    for (const TableSpec& spec : plan.tables) {
      TableEntry& table = *checkpoint_.add_tables();
      table.set_name(spec.name);
      table.set_dim(spec.dim);
      table.set_optimizer(OptimizerName(spec));
      table.set_seed(spec.seed);
    }
  }

  LoadedConfig Load(const std::string& text, const std::vector<std::string>& set) const {
    auto loaded = LoadConfig(dir_.Write("c.textproto", text), set);
    CHECK(loaded.ok()) << loaded.status().ToString();
    return *std::move(loaded);
  }
  static JobPlan PlanOf(const LoadedConfig& loaded) {
    auto plan = MakeJobPlan(loaded);
    CHECK(plan.ok()) << plan.status().ToString();
    return *std::move(plan);
  }
  Result<std::vector<std::string>> CheckText(const std::string& text,
                                             const std::vector<std::string>& set,
                                             ResumeFlags flags = {}) const {
    const LoadedConfig loaded = Load(text, set);
    return CheckCompatible(checkpoint_, loaded, PlanOf(loaded), instruction_set_, flags);
  }
  Result<std::vector<std::string>> Check(const std::vector<std::string>& set,
                                         ResumeFlags flags = {}) const {
    return CheckText(kConfig, set, flags);
  }
  std::vector<std::string> Recorded(const std::vector<std::string>& set,
                                    ResumeFlags flags = {}) const {
    return RecordedOf(Check(set, flags));
  }
  static std::vector<std::string> RecordedOf(const Result<std::vector<std::string>>& checked) {
    EXPECT_TRUE(checked.ok()) << checked.status().ToString();
    return checked.ok() ? *checked : std::vector<std::string>{"refused"};
  }
  static std::string RefusalOf(const Result<std::vector<std::string>>& checked) {
    EXPECT_EQ(checked.status().code(), StatusCode::kInvalidConfig);
    return checked.status().root_message();
  }
  std::string Refusal(const std::vector<std::string>& set, ResumeFlags flags = {}) const {
    return RefusalOf(Check(set, flags));
  }
  // kConfig with one part of its text in place of another.
  static std::string Replaced(const std::string& from, const std::string& to) {
    std::string text = kConfig;
    const size_t at = text.find(from);
    CHECK_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  static constexpr ResumeFlags kDivergence{.allow_divergence = true};
  static constexpr ResumeFlags kNew{.allow_new = true};
  static constexpr ResumeFlags kAll{.allow_divergence = true, .allow_new = true};
  TempDir dir_;
  Manifest checkpoint_;
  std::string instruction_set_ = "avx2";
};

TEST_F(Compatibility, TheSameConfigIsFine) { EXPECT_THAT(Recorded({}), IsEmpty()); }

TEST_F(Compatibility, WhereAndHowLongItRunsIsFree) {
  EXPECT_THAT(
      Recorded({"cluster.servers=3", "cluster.threads=7", "cluster.deadline_s=9", "train.epochs=9",
                "train.log_every_s=1", "train.on_bad_step=SKIP", "checkpoint.dir=elsewhere",
                "checkpoint.every_steps=7", "checkpoint.incremental=true",
                "data.train=/other/t.parquet", "data.test=test.parquet", "data.max_bad_rows=5"}),
      IsEmpty());
}

TEST_F(Compatibility, NumbersOfOptimizersAreRecorded) {
  EXPECT_THAT(Recorded({"optimizer.embedding.adam.lr=0.25"}),
              ElementsAre("step 1200: optimizer.embedding.adam.lr: 0.5 -> 0.25"));
  // Set for the first time; of an optimizer that is the default and was never named.
  EXPECT_THAT(Recorded({"optimizer.embedding.adam.beta1=0.5"}),
              ElementsAre("step 1200: optimizer.embedding.adam.beta1: 0.5"));
  EXPECT_THAT(Recorded({"optimizer.embedding.l2=0.5"}),
              ElementsAre("step 1200: optimizer.embedding.l2: 0.5"));
  EXPECT_THAT(Recorded({"optimizer.dense.adam.lr=0.25", "optimizer.dense.clip_norm=3"}),
              ElementsAre("step 1200: optimizer.dense.adam.lr: 0.25",
                          "step 1200: optimizer.dense.clip_norm: 3"));
  EXPECT_THAT(Recorded({"tables[item].optimizer.adam.lr=0.25"}), ElementsAre(HasSubstr("0.25")));
}

TEST_F(Compatibility, LossWeightsAndScheduleAreRecorded) {
  EXPECT_THAT(Recorded({"data.weight=w", "data.max_weight=7", "data.positive_weight=2"}),
              ElementsAre(HasSubstr("data.weight"), HasSubstr("data.positive_weight: 2"),
                          HasSubstr("data.max_weight: 7")));
  EXPECT_THAT(Recorded({"loss.focal.gamma=2"}), ElementsAre(HasSubstr("loss")));
  const std::string exponential =
      Replaced("optimizer {", "optimizer { schedule { exponential { decay_steps: 9 } }");
  EXPECT_THAT(RecordedOf(CheckText(exponential, {})), ElementsAre(HasSubstr("optimizer.schedule")));
}

TEST_F(Compatibility, EpochsAreRecordedWhereTheScheduleEndsWithThem) {
  const std::string cosine = Replaced("optimizer {", "optimizer { schedule { cosine {} }");
  const LoadedConfig loaded = Load(cosine, {});
  checkpoint_.set_config(Canonical(loaded.config));
  EXPECT_THAT(RecordedOf(CheckText(cosine, {})), IsEmpty());
  EXPECT_THAT(RecordedOf(CheckText(cosine, {"train.epochs=9"})),
              ElementsAre("step 1200: train.epochs: 5 -> 9"));
  EXPECT_THAT(RecordedOf(CheckText(cosine, {"train.max_steps=2000"})),
              ElementsAre("step 1200: train.max_steps: 2000"));
  EXPECT_THAT(
      RecordedOf(CheckText(cosine, {"train.epochs=9", "optimizer.schedule.cosine.steps=500"})),
      ElementsAre("step 1200: optimizer.schedule.cosine.steps: 500"));
}

TEST_F(Compatibility, OtherOptimizersAreRefused) {
  for (const ResumeFlags& flags : {ResumeFlags(), kAll}) {
    EXPECT_THAT(
        RefusalOf(CheckText(Replaced("adam { lr: 0.5 }", "adagrad { lr: 0.5 }"), {}, flags)),
        AllOf(HasSubstr("optimizer.embedding.adagrad"),
              HasSubstr("table item has optimizer adam there and adagrad here")));
    EXPECT_THAT(
        RefusalOf(CheckText(Replaced("optimizer {", "optimizer { dense { sgd {} }"), {}, flags)),
        HasSubstr("optimizer.dense.sgd"));
    EXPECT_THAT(Refusal({"tables[brand].optimizer.sgd.lr=0.1"}, flags),
                HasSubstr("table brand has optimizer adam there and sgd here"));
  }
}

TEST_F(Compatibility, BatchesChangeTheBitsAndNeedAFlag) {
  const std::string refusal = Refusal({"batch.lanes=8"});
  EXPECT_THAT(refusal, AllOf(HasSubstr("step-00001200.2: batch.lanes: 4 -> 8"),
                             HasSubstr("--allow-divergence")));
  EXPECT_THAT(Refusal({"batch.lanes=8"}, kNew), HasSubstr("--allow-divergence"));
  EXPECT_THAT(Recorded({"batch.lanes=8", "batch.rows=128", "data.order=TIME"}, kDivergence),
              testing::UnorderedElementsAre("step 1200: batch.lanes: 4 -> 8",
                                            "step 1200: batch.rows: 64 -> 128",
                                            "step 1200: data.order: TIME"));
  EXPECT_THAT(Recorded({"tables[item].initializer.constant.value=1"}, kDivergence),
              ElementsAre(HasSubstr("initializer")));
  EXPECT_THAT(Refusal({"tables[item].initializer.constant.value=1"}),
              HasSubstr("--allow-divergence"));
}

// Its rows up to there are those of the old batches.
TEST_F(Compatibility, BatchesStayWithinAnEpoch) {
  checkpoint_.mutable_cursor()->set_epoch_step(17);
  for (const char* set : {"batch.lanes=8", "batch.rows=128", "data.order=TIME"}) {
    EXPECT_THAT(Refusal({set}, kAll), HasSubstr("in the middle of an epoch")) << set;
  }
  EXPECT_THAT(Recorded({"optimizer.embedding.adam.lr=0.25"}).size(), 1u);
}

TEST_F(Compatibility, AnEpochThatWasBegunIsReadToItsEnd) {
  checkpoint_.mutable_cursor()->set_epoch(3);
  EXPECT_THAT(Recorded({"train.epochs=3"}), IsEmpty());
  checkpoint_.mutable_cursor()->set_epoch_step(17);
  EXPECT_THAT(Refusal({"train.epochs=3"}, kAll),
              AllOf(HasSubstr("train.epochs: 3"), HasSubstr("epoch 4")));
  EXPECT_THAT(Recorded({"train.epochs=4"}), IsEmpty());
}

TEST_F(Compatibility, TheInstructionSetChangesTheBits) {
  instruction_set_ = "avx512";
  EXPECT_THAT(Refusal({}),
              AllOf(HasSubstr("instruction set: avx2 -> avx512"), HasSubstr("--allow-divergence")));
  EXPECT_THAT(Recorded({}, kDivergence), ElementsAre("step 1200: instruction set: avx2 -> avx512"));
}

TEST_F(Compatibility, MoreFeaturesNeedAFlag) {
  const std::string more = Replaced("  numeric", "  id { columns: \"user\" dim: 2 }\n  numeric");
  EXPECT_THAT(RefusalOf(CheckText(more, {})),
              AllOf(HasSubstr("added features.id[1]"), HasSubstr("it has no table user"),
                    HasSubstr("--allow-new")));
  EXPECT_THAT(RefusalOf(CheckText(more, {}, kDivergence)), HasSubstr("--allow-new"));
  EXPECT_THAT(RecordedOf(CheckText(more, {}, kNew)),
              ElementsAre(HasSubstr("step 1200: added features.id[1]")));
}

TEST_F(Compatibility, OtherLayersNeedAFlag) {
  EXPECT_THAT(Refusal({"model.din.mlp.dropout=0.5"}), HasSubstr("--allow-new"));
  EXPECT_THAT(Recorded({"model.din.mlp.dropout=0.5"}, kNew),
              ElementsAre(HasSubstr("model.din.mlp.dropout: 0.5")));
}

TEST_F(Compatibility, WhatRowsMeanIsRefused) {
  for (const ResumeFlags& flags : {ResumeFlags(), kAll}) {
    EXPECT_THAT(Refusal({"features.id[0].dim=4"}, flags),
                HasSubstr("table item has dim 8 there and 4 here"));
    EXPECT_THAT(Refusal({"tables[brand].dim=4"}, flags),
                HasSubstr("table brand has dim 8 there and 4 here"));
    EXPECT_THAT(Refusal({"train.seed=4"}, flags),
                AllOf(HasSubstr("train.seed: 3 -> 4"), HasSubstr("table item has seed")));
    EXPECT_THAT(Refusal({"data.label=z"}, flags), HasSubstr("data.label"));
    const std::string fewer = Replaced("  numeric { columns: \"price\" }\n", "");
    EXPECT_THAT(RefusalOf(CheckText(fewer, {}, flags)), HasSubstr("deleted features.numeric[0]"));
    EXPECT_THAT(RefusalOf(CheckText(Replaced("\"brand\"", "\"shop\""), {}, flags)),
                HasSubstr("table brand has no feature here"));
  }
}

// Even with the flag that allows more features.
TEST_F(Compatibility, WhatMakesKeysIsRefused) {
  const std::string kinds = Replaced("  numeric", R"(  bag { columns: "tags" dim: 4 }
  bucketize { columns: "age" bounds: [18, 30] }
  bucketize { columns: "paid" quantiles: 10 }
  cross { columns: ["item", "brand"] table: "pair" }
  cross { columns: ["item", "brand", "age"] table: "triple" hash_buckets: 100 }
  numeric)");
  checkpoint_.set_config(Canonical(Load(kinds, {}).config));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = kinds;
    text.replace(text.find(from), from.size(), to);
    return RefusalOf(CheckText(text, {}, kAll));
  };
  EXPECT_THAT(with("[18, 30]", "[18, 31]"), HasSubstr("features.bucketize[0].bounds[1]: 30 -> 31"));
  EXPECT_THAT(with("[18, 30]", "[18, 30, 60]"), HasSubstr("features.bucketize[0].bounds[2]: 60"));
  EXPECT_THAT(with("quantiles: 10", "quantiles: 12"),
              HasSubstr("features.bucketize[1].quantiles: 10 -> 12"));
  EXPECT_THAT(with("[\"item\", \"brand\"] table", "[\"item\", \"brand\", \"age\"] table"),
              HasSubstr("added features.cross[0].columns[2]"));
  EXPECT_THAT(with("hash_buckets: 100", "hash_buckets: 99"),
              HasSubstr("features.cross[1].hash_buckets: 100 -> 99"));
  EXPECT_THAT(with("table: \"pair\"", "table: \"pair\" hash_buckets: 9"),
              HasSubstr("added features.cross[0].hash_buckets: 9"));
  EXPECT_THAT(with("\"tags\" dim: 4", "\"tags\" dim: 4 pooling: MEAN"),
              HasSubstr("features.bag[0].pooling"));
}

TEST_F(Compatibility, EverythingThatIsRefusedIsListed) {
  const std::string refusal =
      Refusal({"train.seed=4", "batch.lanes=8", "features.id[0].dim=4", "train.epochs=9"});
  for (const char* what : {"train.seed: 3 -> 4", "batch.lanes: 4 -> 8", "table item has dim",
                           "table brand has dim", "table item has seed"}) {
    EXPECT_THAT(refusal, HasSubstr(std::string("step-00001200.2: "))) << what;
    EXPECT_THAT(refusal, HasSubstr(what));
  }
  EXPECT_THAT(refusal, Not(HasSubstr("epochs")));
  EXPECT_GE(std::count(refusal.begin(), refusal.end(), '\n'), 5);
}

TEST_F(Compatibility, AConfigThatCannotBeReadIsOfAnotherProgramAndNoDamage) {
  checkpoint_.set_config("data { trainee: 1 }");
  EXPECT_EQ(Check({}).status().code(), StatusCode::kUnsupported);
}

TEST_F(Compatibility, EvaluationNeedsTheSameModelAlone) {
  const auto check = [&](const std::string& text, const std::vector<std::string>& set) {
    const LoadedConfig loaded = Load(text, set);
    return CheckModel(checkpoint_, loaded, PlanOf(loaded));
  };
  EXPECT_TRUE(check(kConfig, {"batch.lanes=9", "data.order=TIME", "train.epochs=1",
                              "optimizer.embedding.adam.lr=3"})
                  .ok());
  for (const char* set : {"train.seed=9", "data.negative_keep=0.5", "features.id[0].dim=4",
                          "model.din.mlp.units=9", "tables[item].dim=3"}) {
    EXPECT_EQ(check(kConfig, {set}).code(), StatusCode::kInvalidConfig) << set;
  }
  EXPECT_THAT(check(kConfig, {"data.negative_keep=0.5"}).ToString(),
              HasSubstr("the model was trained with another data.negative_keep"));
}

class InputFiles : public testing::Test {
 protected:
  InputFiles() {
    for (const auto& file : files_) {
      InputFileEntry& entry = *checkpoint_.add_inputs();
      entry.set_path(file.path);
      entry.set_rows(file.rows);
      entry.set_fingerprint(file.fingerprint);
    }
    checkpoint_.set_name("step-00001200.2");
  }
  static InputFile File(const std::string& path, int64_t rows, uint64_t fingerprint) {
    InputFile file;
    file.path = path;
    file.rows = rows;
    file.fingerprint = fingerprint;
    return file;
  }
  std::string Refusal(const std::vector<InputFile>& files) const {
    const Status status = CheckInputs(checkpoint_, files);
    EXPECT_EQ(status.code(), StatusCode::kInvalidConfig) << status.ToString();
    EXPECT_THAT(status.root_message(), HasSubstr("--next-segment"));
    return status.root_message();
  }

  const std::vector<InputFile> files_ = {File("d/a.parquet", 100, 1), File("d/b.parquet", 50, 2)};
  Manifest checkpoint_;
};

TEST_F(InputFiles, AreTheSameWhereverTheyAre) {
  EXPECT_TRUE(CheckInputs(checkpoint_, files_).ok());
  EXPECT_TRUE(CheckInputs(checkpoint_, {File("x/1", 100, 1), File("x/2", 50, 2)}).ok());
}

TEST_F(InputFiles, ThatChangedAreNamed) {
  EXPECT_THAT(
      Refusal({files_[0], File("d/b.parquet", 51, 9)}),
      AllOf(HasSubstr("file 2 was d/b.parquet (50 rows)"), HasSubstr("is d/b.parquet (51 rows)")));
}

TEST_F(InputFiles, MayNotBeFewerOrMoreOrInAnotherOrder) {
  EXPECT_THAT(Refusal({files_[0]}), HasSubstr("was 2 files and is 1"));
  EXPECT_THAT(Refusal({files_[0], files_[1], files_[1]}), HasSubstr("was 2 files and is 3"));
  EXPECT_THAT(Refusal({files_[1], files_[0]}),
              AllOf(HasSubstr("file 1 was d/a.parquet"), HasSubstr("is d/b.parquet")));
}

}  // namespace
}  // namespace trestle
