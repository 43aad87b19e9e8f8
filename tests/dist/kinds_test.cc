// A job with every kind of column, under the real mpirun: the same bits on any number of ranks,
// with a dedicated server, and from a checkpoint in the middle, and what each kind is for.
//
// The label is planted: which pairs of `shop` and `hour` click is drawn for each pair, so that
// neither says anything alone; a tag among several raises it, and prices above a threshold.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "tests/support/parquet_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

constexpr int64_t kTrainRows = 60'000;
constexpr int64_t kTestRows = 40'000;
constexpr uint64_t kShops = 20, kHours = 20, kTags = 30, kUsers = 3000;

class Kinds : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempDir("kinds");
    std::mt19937_64 random(7);  // the plant and its rows are a constant of the test
    std::vector<double> of_pair(kShops * kHours);
    for (double& x : of_pair) x = random() % 2 ? 1.6 : -1.6;
    WriteRows("train.parquet", kTrainRows, of_pair, &random);
    WriteRows("test.parquet", kTestRows, of_pair, &random);
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  static void WriteRows(const std::string& name, int64_t rows, const std::vector<double>& of_pair,
                        std::mt19937_64* random) {
    const auto below = [&](uint64_t n) { return static_cast<int64_t>((*random)() % n); };
    std::vector<int64_t> user, shop, hour, click;
    std::vector<double> price, weight;
    std::vector<std::vector<int64_t>> tags;
    for (int64_t i = 0; i < rows; ++i) {
      user.push_back(below(kUsers));
      shop.push_back(below(kShops));
      hour.push_back(below(kHours));
      price.push_back(std::exp(static_cast<double>(below(1000)) / 250));
      weight.push_back(below(2) ? 1 : 0.5);
      auto& of_row = tags.emplace_back();
      for (int64_t t = below(6); t > 0; --t) of_row.push_back(below(kTags));
      double logit = -3 + of_pair[static_cast<size_t>(shop.back() * 20 + hour.back())];
      for (const int64_t tag : of_row) logit += tag < 3 ? 1.2 : 0;
      logit += price.back() > 20 ? 1 : 0;
      const double p = 1 / (1 + std::exp(-logit));
      click.push_back(static_cast<double>(below(1'000'000)) < 1e6 * p);
    }
    WriteParquet(folder_->Join(name),
                 {{"user", Int64s(user)},
                  {"shop", Int64s(shop)},
                  {"hour", Int64s(hour)},
                  {"price", Doubles(price)},
                  {"weight", Doubles(weight)},
                  {"tags", Int64Lists(tags)},
                  {"click", Int64s(click)}},
                 5000);
  }

  static std::string Config(const std::string& data, const std::string& features) {
    return folder_->Write(
        "config.textproto",
        "data { train: \"" + folder_->Join("train.parquet") + "\" test: \"" +
            folder_->Join("test.parquet") + "\" label: \"click\" " + data + " }\n" +
            "features {\n  id { columns: \"user\" hash_buckets: 50 dim: 4 }\n"
            "  id { columns: [\"shop\", \"hour\"] dim: 4 }\n" +
            features +
            "}\n"
            "model { base { mlp { units: [32, 16] } } }\n"
            "optimizer { embedding { adagrad { lr: 0.05 } } dense { adam { lr: 0.001 } } }\n"
            "batch { rows: 256 lanes: 8 }\ncluster { threads: 1 deadline_s: 60 }\n"
            "train { seed: 3 }\n");
  }
  static std::string AllKinds() {
    return "  bag { columns: \"tags\" dim: 4 pooling: SQRTN }\n"
           "  bucketize { columns: \"price\" quantiles: 12 dim: 4 }\n"
           "  cross { columns: [\"shop\", \"hour\"] dim: 8 }\n"
           "  cross { columns: [\"user\", \"price\"] hash_buckets: 64 dim: 4 }\n"
           "  numeric { columns: \"price\" transform: LOG1P scale: STANDARD }\n";
  }

  static JobResult Run(const std::string& command, int ranks, const std::string& config,
                       const std::string& run, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {command, config, "--set",
                                          "checkpoint.dir=" + folder_->Join(run)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    JobResult result = RunTrestle({ranks, ranks > 1, arguments});
    EXPECT_EQ(result.process.exit_code, 0) << result.process.output;
    std::printf("%s: test  %s\n", run.c_str(), LineAfter(result.process.output, "test  ").c_str());
    return result;
  }

  static double TestMetric(const JobResult& result, const std::string& name) {
    const std::string text = LineAfter(LineAfter(result.process.output, "test  "), name + " ");
    return text.empty() ? -1 : std::stod(text);
  }

  static TempDir* folder_;
};

TempDir* Kinds::folder_ = nullptr;

TEST_F(Kinds, AllTogetherGiveTheSameBitsOnTwoRanksAndAfterAResume) {
  const std::string config =
      Config("weight: \"weight\" positive_weight: 2 negative_keep: 0.5", AllKinds());
  const JobResult one = Run("train", 1, config, "one", {"--set", "checkpoint.every_steps=100"});
  ASSERT_EQ(one.digest.size(), 16u);
  EXPECT_NE(one.process.output.find(" negatives left out, 60000 expected"), std::string::npos);
  EXPECT_EQ(Run("train", 2, config, "two").digest, one.digest);
  EXPECT_EQ(Run("train", 2, config, "server", {"--set", "cluster.servers=1"}).digest, one.digest);
  const std::string middle = folder_->Join("one") + "/checkpoints/step-00000100.1";
  const JobResult resumed = Run("train", 2, config, "resumed", {"--resume", middle});
  EXPECT_EQ(resumed.digest, one.digest);
  EXPECT_EQ(LineAfter(resumed.process.output, "ledger  "),
            LineAfter(one.process.output, "ledger  "));
  // The bounds are the checkpoint's: `eval` reads no training files.
  const JobResult evaluated = Run("eval", 2, config, "one");
  EXPECT_EQ(LineAfter(evaluated.process.output, "test  "), LineAfter(one.process.output, "test  "));

  // A prediction needs neither label nor weight; a share of the negatives is no matter of its rows.
  const std::string input = folder_->Write("new.csv",
                                           "tags,price,hour,shop,user\n"
                                           "1|2|3,12.5,4,5,6\n,3,7,8,9\n2,99,1,2,3\n");
  const std::string output = folder_->Join("new.out.csv");
  const JobResult predicted = Run("predict", 2, config, "one",
                                  {"--input", input, "--output", output, "--columns", "shop",
                                   "--set", "data.cache=" + folder_->Join("cache")});
  const std::string csv = FileSystem::Local().Read(output).value();
  EXPECT_EQ(csv.find("\"shop\",\"logit\",\"prediction\"\n\"5\",-"), 0u) << csv;
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4) << csv;
}

TEST_F(Kinds, ImportanceHasANameForEach) {
  const std::string config = Config("", AllKinds());
  const std::string steps = "train.max_steps=20";
  Run("train", 1, config, "few", {"--set", steps});
  const JobResult told = Run("eval", 1, config, "few", {"--set", steps, "--importance"});
  for (const char* name : {"\nuser ", "\ntags ", "\nprice ", "\nshop_x_hour ", "\nuser_x_price "}) {
    EXPECT_NE(told.process.output.find(name), std::string::npos) << name << told.process.output;
  }
}

TEST_F(Kinds, CrossAndBagLearnWhatTheirPartsCannot) {
  const JobResult with = Run("train", 1, Config("", AllKinds()), "with");
  const JobResult without = Run("train", 1, Config("", ""), "without");
  EXPECT_GT(TestMetric(with, "auc"), TestMetric(without, "auc") + 0.1);
}

TEST_F(Kinds, PredictionsAreCorrectedForNegativesThatWereLeftOut) {
  const JobResult all = Run("train", 1, Config("", AllKinds()), "all");
  const JobResult tenth = Run("train", 1, Config("negative_keep: 0.1", AllKinds()), "tenth");
  EXPECT_NEAR(TestMetric(all, "predicted/observed"), 1, 0.1);
  EXPECT_NEAR(TestMetric(tenth, "predicted/observed"), 1, 0.1);
  EXPECT_GT(TestMetric(tenth, "auc"), TestMetric(all, "auc") - 0.05);
}

}  // namespace
}  // namespace trestle
