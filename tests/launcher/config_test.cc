#include "launcher/config.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <map>

#include "base/nearest_name.h"
#include "launcher/report_error.h"

namespace trestle {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A filesystem of texts, for reading alone.
class TextFiles : public FileSystem {
 public:
  explicit TextFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  Result<std::string> Read(const std::string& path) override {
    const auto it = files_.find(path);
    if (it == files_.end()) return Status(StatusCode::kNotFound, path + ": no such file");
    return it->second;
  }
  bool Exists(const std::string& path) override { return files_.contains(path); }
  Result<int64_t> Size(const std::string&) override { return ReadOnly(); }
  Result<std::unique_ptr<WritableFile>> Create(const std::string&) override { return ReadOnly(); }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string&) override {
    return ReadOnly();
  }
  Status MakeDirectories(const std::string&) override { return ReadOnly(); }
  Status Rename(const std::string&, const std::string&) override { return ReadOnly(); }
  Status Remove(const std::string&) override { return ReadOnly(); }
  Status SyncDirectory(const std::string&) override { return ReadOnly(); }
  Result<std::vector<std::string>> List(const std::string&) override { return ReadOnly(); }
  Result<std::vector<std::string>> Glob(const std::string&) override { return ReadOnly(); }

 private:
  static Status ReadOnly() { return {StatusCode::kIoError, "only reads"}; }
  std::map<std::string, std::string> files_;
};

constexpr char kGood[] = R"(data {
  train: "train/*.parquet"  test: "test.parquet"
  label: "clk"  group: "userid"         # GAUC's
  order: SHUFFLE
}
features {
  id { columns: ["cate_id", "brand"]  dim: 32 }
  id { columns: ["userid"]  dim: 8 }
  sequence { columns: ["hist_cate"]  like: ["cate_id"]  keep_last: 50 }
  numeric { columns: ["price"]  transform: LOG1P  scale: STANDARD  missing: 0 }
}
model { din {
  candidate: ["cate_id"]
  history: ["hist_cate"]
  attention { units: [80, 40]  activation: DICE }
  mlp { units: [200, 80]  activation: DICE  dropout: 0.5 }
} }
optimizer { embedding { adagrad { lr: 0.05 } }  dense { adam { lr: 0.001 } } }
batch { rows: 4096  lanes: 16 }
train { epochs: 1 }
tables { name: "brand"  dim: 64 }
)";

// The least that is a config.
constexpr char kLeast[] = R"(data { train: "t" label: "y" } model { base {} } )";

Result<LoadedConfig> Load(const std::string& text, const std::vector<std::string>& set = {}) {
  TextFiles files({{"c.textproto", text}});
  return LoadConfig("c.textproto", set, files);
}

std::string ErrorsOf(const std::string& text, const std::vector<std::string>& set = {}) {
  const Result<LoadedConfig> loaded = Load(text, set);
  if (loaded.ok()) return "no error";
  EXPECT_EQ(loaded.status().code(), StatusCode::kInvalidConfig);
  return loaded.status().ToString();
}

Config Good(const std::vector<std::string>& set) {
  const Result<LoadedConfig> loaded = Load(kGood, set);
  EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
  return loaded.ok() ? loaded->config : Config();
}

TEST(LoadConfig, ReadsTheExampleAsTheProtobufLibraryDoes) {
  const Config config = Good({});
  Config reference;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kGood, &reference));
  FillDefaults("c", &reference);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(config, reference));
}

TEST(LoadConfig, FillsDefaultsThatNoOtherRoomOwns) {
  const Result<LoadedConfig> loaded = Load(kLeast);
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ(loaded->config.batch().rows(), 4096);
  EXPECT_EQ(loaded->config.batch().lanes(), 16);
  EXPECT_EQ(loaded->config.train().epochs(), 1);
  EXPECT_EQ(loaded->config.cluster().deadline_s(), 120);
  EXPECT_EQ(loaded->config.checkpoint().dir(), "runs/c");
  EXPECT_EQ(Load(kLeast, {"batch.rows=100"})->config.batch().lanes(), 1);
}

TEST(LoadConfig, MissingFileIsNotFound) {
  TextFiles files({});
  EXPECT_EQ(LoadConfig("none.textproto", {}, files).status().code(), StatusCode::kNotFound);
}

TEST(ConfigErrors, UnknownFieldHasItsPlaceTheNearestNameAndTheKnownOnes) {
  EXPECT_EQ(ErrorsOf(std::string(kLeast) + "\ntrain {\n   epoch: 3\n}"),
            "c.textproto:3:4: unknown field \"epoch\" in train; did you mean \"epochs\"? Fields of "
            "train: epochs, seed, on_bad_step, eval_every_steps, patience, keep_best, max_steps, "
            "max_minutes, log_every_s");
}

TEST(ConfigErrors, UnknownFieldFarFromAnyNameLists) {
  EXPECT_EQ(ErrorsOf(std::string(kLeast) + "\nbatch { wombat: 3 }"),
            "c.textproto:2:9: unknown field \"wombat\" in batch; Fields of batch: rows, lanes");
}

TEST(ConfigErrors, FieldInTheWrongMessageIsFoundElsewhere) {
  EXPECT_THAT(ErrorsOf(std::string(kLeast) + "\nkeep_last: 3"),
              HasSubstr("2:1: unknown field \"keep_last\" in the config; there is one in "
                        "features.sequence, features.bag. Fields of the config: data, features"));
}

TEST(ConfigErrors, WrongTypesEachHaveTheValuesPlace) {
  EXPECT_EQ(
      ErrorsOf(R"(data { train: t
  label: 7  order: RANDOM  max_bad_rows: 1.5 }
model { din { mlp { units: [8, "x"]  batch_norm: 2  dropout: yes } } }
batch: 4  batch { rows: many }
train { seed: -1  epochs: 3000000000 })"),
      R"(c.textproto:1:15: data.train[0]: expected a string in quotes, found t; write it in quotes: "t"
c.textproto:2:10: data.label: expected a string in quotes, found 7
c.textproto:2:20: data.order: expected one of SHUFFLE, TIME, found RANDOM
c.textproto:2:42: data.max_bad_rows: expected an integer, found 1.5
c.textproto:3:32: model.din.mlp.units[1]: expected an integer, found "x"
c.textproto:3:50: model.din.mlp.batch_norm: expected true or false, found 2
c.textproto:3:62: model.din.mlp.dropout: expected a number, found yes
c.textproto:4:8: batch: expected "{", found "4"
c.textproto:4:11: batch: set twice, first in line 4
c.textproto:4:25: batch.rows: expected an integer, found many
c.textproto:5:15: train.seed: -1 does not fit; allowed: 0 to 18446744073709551615
c.textproto:5:27: train.epochs: 3000000000 does not fit; allowed: -2147483648 to 2147483647)");
}

TEST(ConfigErrors, SyntaxIsReportedAndReadingGoesOn) {
  EXPECT_EQ(ErrorsOf(R"(data { train: "t" label "y" }
} 7
model { din { candidate: ["a" "b", ] history: lanes: 3 } base { } }
batch { rows: lanes: 3 }
optimizer { dense { adam { lr: [1] lr 2 } }
train { epochs: 2)"),
            R"(c.textproto:1:25: data.label: expected ":" after the name, found the string "y"
c.textproto:2:1: unexpected "}": nothing is open here
c.textproto:2:3: expected the name of a field in the config, found "7"
c.textproto:3:36: model.din.candidate[1]: expected a string in quotes, found "]"
c.textproto:3:47: model.din.history[0]: expected a string in quotes, found "lanes"
c.textproto:3:47: unknown field "lanes" in model.din; Fields of model.din: candidate, history, attention, mlp, pooling
c.textproto:3:58: model.base: only one of its kind may be set, and model.din is, in line 3
c.textproto:4:15: batch.rows: expected an integer, found "lanes"
c.textproto:5:32: optimizer.dense.adam.lr: takes one value, found a list
c.textproto:5:36: optimizer.dense.adam.lr: set twice, first in line 5
c.textproto:5:39: optimizer.dense.adam.lr: expected ":" after the name, found "2"
c.textproto:6:1: unknown field "train" in optimizer; Fields of optimizer: embedding, dense, schedule
c.textproto:6:18: expected "}" to close optimizer, opened in line 5, found the end)");
}

TEST(ConfigErrors, OpenStringHasItsPlace) {
  EXPECT_THAT(ErrorsOf("data { train: \"t\n label: \"y\" }"), HasSubstr("c.textproto:1:17: "));
}

TEST(ConfigErrors, ValuesOutOfRangeAreToldTogether) {
  EXPECT_EQ(ErrorsOf(R"(data { train: "t" label: "y" max_bad_rows: -1 }
features { id { columns: "a" dim: 0 } sequence { columns: "b" dim: 5000 keep_last: 0 } }
model { din { mlp { units: [8, 0] dropout: 1 } } }
optimizer { dense { adam { lr: 0 beta1: 1 } } }
batch { rows: 0 lanes: 5000 }
train { epochs: 0 }
cluster { threads: 0 deadline_s: 0 servers: -1 }
tables { name: "a" dim: 4097 })"),
            R"(c.textproto:1:44: data.max_bad_rows: -1 is out of range; allowed: at least 0
c.textproto:2:35: features.id[0].dim: 0 is out of range; allowed: 1 to 4096
c.textproto:2:68: features.sequence[0].dim: 5000 is out of range; allowed: 1 to 4096
c.textproto:2:84: features.sequence[0].keep_last: 0 is out of range; allowed: 1 to 65536
c.textproto:3:32: model.din.mlp.units[1]: 0 is out of range; allowed: 1 to 65536
c.textproto:3:44: model.din.mlp.dropout: 1 is out of range; allowed: 0 to below 1
c.textproto:4:32: optimizer.dense.adam.lr: 0 is out of range; allowed: above 0
c.textproto:4:41: optimizer.dense.adam.beta1: 1 is out of range; allowed: 0 to below 1
c.textproto:5:15: batch.rows: 0 is out of range; allowed: 1 to 268435456
c.textproto:5:24: batch.lanes: 5000 is out of range; allowed: 1 to 4096
c.textproto:6:17: train.epochs: 0 is out of range; allowed: at least 1
c.textproto:7:20: cluster.threads: 0 is out of range; allowed: 1 to 1024
c.textproto:7:34: cluster.deadline_s: 0 is out of range; allowed: 1 to 86400
c.textproto:7:45: cluster.servers: -1 is out of range; allowed: at least 0
c.textproto:8:25: tables[0].dim: 4097 is out of range; allowed: 1 to 4096)");
}

TEST(ConfigErrors, LanesMayNotExceedRows) {
  EXPECT_EQ(ErrorsOf(std::string(kLeast) + "batch { rows: 8 lanes: 9 }"),
            "c.textproto:1:73: batch.lanes: 9 lanes for batch.rows 8; allowed: 1 to 8");
}

TEST(ConfigErrors, SchedulesMustSayTheirStepsAndEndAfterTheWarmUp) {
  EXPECT_EQ(
      ErrorsOf(std::string(kLeast) + "optimizer { schedule { step {} } }"),
      "c.textproto:1:73: optimizer.schedule.step.every_steps: missing; say after how many steps "
      "the rates fall, as in step { every_steps: 1000 }");
  EXPECT_THAT(
      ErrorsOf(std::string(kLeast) + "optimizer { schedule { exponential {} } }"),
      HasSubstr("optimizer.schedule.exponential.decay_steps: missing; say in how many steps"));
  EXPECT_THAT(ErrorsOf(std::string(kLeast) +
                       "optimizer { schedule { warmup_steps: 200 cosine { steps: 100 } } }"),
              HasSubstr("optimizer.schedule.cosine.steps: 100 steps are over before the warm-up of "
                        "200; give more, or none for all of the run"));
  EXPECT_THAT(
      ErrorsOf(std::string(kLeast) + "optimizer { schedule { epoch { factor: 2 } } } "
                                     "loss { focal { alpha: -1 } label_smoothing: 1 }"),
      AllOf(HasSubstr("optimizer.schedule.epoch.factor: 2 is out of range; allowed: 0 to 1"),
            HasSubstr("loss.focal.alpha: -1 is out of range; allowed: 0 to 1"),
            HasSubstr("loss.label_smoothing: 1 is out of range; allowed: 0 to below 1")));
}

TEST(ConfigErrors, RequiredFieldsAreNamedAtTheirMessage) {
  EXPECT_EQ(ErrorsOf("batch { rows: 8 }\ndata { test: \"t\" }"),
            R"(c.textproto:1:1: model: missing; choose one of base, din, as in model { din { ... } }
c.textproto:2:1: data.train: missing; name the training files, as in data { train: "data/train/*.parquet" }
c.textproto:2:1: data.label: missing; name the column of 0 and 1, as in data { label: "click" })");
}

TEST(ConfigErrors, MisspeltIsNotMissingToo) {
  EXPECT_EQ(ErrorsOf("data { train: \"t\" lable: \"y\" } model { base {} }"),
            "c.textproto:1:19: unknown field \"lable\" in data; did you mean \"label\"? Fields of "
            "data: train, test, label, cache, text, positive_from, holdout, group, order, "
            "max_bad_rows, weight, "
            "positive_weight, max_weight, negative_keep");
}

TEST(ConfigErrors, TablesNeedDistinctNames) {
  EXPECT_EQ(
      ErrorsOf(std::string(kLeast) + "tables { dim: 4 } tables { name: 'a' } tables { name: 'a' }"),
      R"(c.textproto:1:50: tables[0]: has no name; name the feature it is the table of
c.textproto:1:89: tables[2]: "a" has an entry already: tables[1]; put both together)");
}

TEST(ConfigErrors, DeepNestingAndGarbageEnd) {
  for (const char* text : {"]", ">", "}", "data { ] }", "data { train: [ > ] }", "data { train: [",
                           "data: -", "data { max_bad_rows: - }", "{", "a: {[<", ":", "\"x\"",
                           "data { train: [1 2 3 >]>", "x: }", "tables: [{}, {]}"}) {
    EXPECT_THAT(ErrorsOf(text), HasSubstr("c.textproto:1:")) << text;
  }
}

TEST(Override, SetsFieldsOfEveryKind) {
  const Config config =
      Good({"train.epochs=7", "data.order=TIME", "data.label=click", "batch.rows = 512",
            "optimizer.dense.clip_norm=1.5", "model.din.mlp.batch_norm=true", "train.seed=0x10"});
  EXPECT_EQ(config.train().epochs(), 7);
  EXPECT_EQ(config.data().order(), TIME);
  EXPECT_EQ(config.data().label(), "click");
  EXPECT_EQ(config.batch().rows(), 512);
  EXPECT_EQ(config.optimizer().dense().clip_norm(), 1.5f);
  EXPECT_TRUE(config.model().din().mlp().batch_norm());
  EXPECT_EQ(config.train().seed(), 16u);
}

TEST(Override, AddressesTablesByNameAndCreatesThem) {
  const Config config = Good({"tables[brand].dim=128", "tables[cate_id].dim=4",
                              "tables[cate_id].unseen=INIT", "tables[userid]={dim: 2}"});
  ASSERT_EQ(config.tables_size(), 3);
  EXPECT_EQ(config.tables(0).dim(), 128);
  EXPECT_EQ(config.tables(1).name(), "cate_id");
  EXPECT_EQ(config.tables(1).dim(), 4);
  EXPECT_EQ(config.tables(1).unseen(), INIT);
  EXPECT_EQ(config.tables(2).name(), "userid");
  EXPECT_EQ(config.tables(2).dim(), 2);
}

TEST(Override, ListsReplaceAndStringsNeedNoQuotes) {
  const Config config =
      Good({"data.train=[a.parquet, \"b,c.parquet\" ,d/*.parquet]", "data.test=x.parquet",
            "model.din.mlp.units=[4,2]", "features.id[1].dim=3", "model.din.history=[]"});
  EXPECT_THAT(config.data().train(),
              ::testing::ElementsAre("a.parquet", "b,c.parquet", "d/*.parquet"));
  EXPECT_THAT(config.data().test(), ::testing::ElementsAre("x.parquet"));
  EXPECT_THAT(config.model().din().mlp().units(), ::testing::ElementsAre(4, 2));
  EXPECT_EQ(config.features().id(1).dim(), 3);
  EXPECT_EQ(config.model().din().history_size(), 0);
}

TEST(Override, MemberOfAOneofSwitchesIt) {
  Config config = Good({"optimizer.embedding.adam.lr=.01"});
  EXPECT_EQ(config.optimizer().embedding().kind_case(), EmbeddingOptimizer::kAdam);
  EXPECT_EQ(config.optimizer().embedding().adam().lr(), 0.01f);
  config = Good({"model={ base { mlp { units: 3 } } }"});
  EXPECT_TRUE(config.model().has_base());
  EXPECT_EQ(config.model().base().mlp().units(0), 3);
  config = Good({"model.base={}"});
  EXPECT_TRUE(config.model().has_base());
}

TEST(Override, MistakesNameTheSetting) {
  EXPECT_EQ(ErrorsOf(kGood, {"batch.rows", "bach.rows=3", "batch.rows=many", "batch.lanes=0",
                             "tables.dim=3", "features.id[9].dim=3", "batch[0].rows=3",
                             "data.order=TIM", "train.epochs.x=3", "batch.rows=3 4",
                             "data.train[0]=x", "tables[x]=4", ".=3", "train=3"}),
            R"(--set batch.rows: expected PATH=VALUE
--set bach.rows=3: unknown field "bach" in the config; did you mean "batch"? Fields of the config: data, features, model, optimizer, batch, train, checkpoint, cluster, tables, eval, loss
--set batch.rows=many: batch.rows: expected an integer, found many
--set batch.lanes=0: batch.lanes: 0 is out of range; allowed: 1 to 4096
--set tables.dim=3: tables is a list: say which of it, tables[NAME]
--set features.id[9].dim=3: features.id[9]: no such entry; allowed: 0 to 1
--set batch[0].rows=3: batch is one message, not a list: write batch
--set data.order=TIM: data.order: expected one of SHUFFLE, TIME, found TIM; did you mean TIME?
--set train.epochs.x=3: train.epochs is an integer and holds no "x"
--set batch.rows=3 4: batch.rows: unexpected "4" after the value
--set data.train[0]=x: data.train: set it whole, data.train=[...]
--set tables[x]=4: tables[1]: expected { ... }, found "4"
--set .=3: "." is not a path like batch.rows or tables[NAME].dim
--set train=3: train: expected "{", found "3")");
}

TEST(LoadedConfig, PlacesOfFieldsByTheNamesUsersKnow) {
  const Result<LoadedConfig> loaded = Load(kGood, {"tables[cate_id].dim=4"});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->Place("batch.rows"), "c.textproto:19:15");
  EXPECT_EQ(loaded->Place("tables[brand].dim"), "c.textproto:21:30");
  EXPECT_EQ(loaded->Place("tables[brand].initializer"), "c.textproto:21:1");
  EXPECT_EQ(loaded->Place("tables[cate_id].dim"), "--set tables[cate_id].dim=4");
  EXPECT_EQ(loaded->Place("features.id[0].columns[1]"), "c.textproto:7:29");
  EXPECT_EQ(loaded->Place("features.sequence[0].like"), "c.textproto:9:38");
  EXPECT_EQ(loaded->Place("cluster.device"), "c.textproto");
}

TEST(WithPlaces, PrefixesEachLineThatStartsWithAField) {
  const Result<LoadedConfig> loaded = Load(kGood);
  ASSERT_TRUE(loaded.ok());
  const Status status = WithPlaces(
      *loaded, {StatusCode::kInvalidConfig,
                "tables[brand].dim: too wide\nno path here\nmodel.din.candidate[0]: unknown"});
  EXPECT_EQ(status.ToString(),
            "c.textproto:21:30: tables[brand].dim: too wide\nc.textproto: no path here\n"
            "c.textproto:13:15: model.din.candidate[0]: unknown");
  EXPECT_EQ(ErrorText(status.Wrap("rank 1")),
            "trestle: error: rank 1: c.textproto:21:30: tables[brand].dim: too wide\n"
            "trestle: error: rank 1: c.textproto: no path here\n"
            "trestle: error: rank 1: c.textproto:13:15: model.din.candidate[0]: unknown\n");
  EXPECT_TRUE(WithPlaces(*loaded, Ok()).ok());
}

TEST(Canonical, EqualConfigsAreEqualTextAndOthersDiffer) {
  const Result<LoadedConfig> a = Load(kGood);
  const Result<LoadedConfig> b = Load(kGood, {"batch.rows=4096"});
  const Result<LoadedConfig> c = Load(kGood, {"batch.rows=4095"});
  EXPECT_EQ(Canonical(a->config), Canonical(b->config));
  EXPECT_EQ(ConfigHash(a->config), ConfigHash(b->config));
  EXPECT_NE(ConfigHash(a->config), ConfigHash(c->config));
  // What the run's folder keeps is a config again, and the same one.
  EXPECT_EQ(Canonical(Load(Canonical(a->config))->config), Canonical(a->config));
}

}  // namespace
}  // namespace trestle
