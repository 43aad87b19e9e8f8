// `trestle predict` and `eval --importance` as users call them: the same bytes in any shape of the
// job, from Parquet or from text, the metrics that `eval` tells, and messages for what is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/support/small_job.h"
#include "worker/metrics.h"
#include "worker/metrics_terms.h"

namespace trestle {
namespace {

using testing::HasSubstr;

std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> Cells(const std::string& line) {
  std::istringstream in(line + ",");
  std::vector<std::string> cells;
  for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
  return cells;
}

// The lines of metrics.jsonl of one event.
std::vector<nlohmann::json> Events(const SmallJob& job, const std::string& event) {
  std::vector<nlohmann::json> found;
  for (const std::string& line : Lines(Read(job.run_folder() + "/metrics.jsonl"))) {
    const auto one = nlohmann::json::parse(line);
    if (one["event"] == event) found.push_back(one);
  }
  return found;
}

class PredictTest : public ::testing::Test {
 protected:
  PredictTest() {
    const JobResult trained = RunTrestle({1, false, {"train", config_}});
    EXPECT_EQ(trained.process.exit_code, 0) << trained.process.output;
  }

  // Arguments after `predict CONFIG --output FILE`; the file's text.
  std::string Predict(const std::string& output, std::vector<std::string> arguments, int ranks = 1,
                      int servers = 0) {
    arguments.insert(arguments.begin(), {"predict", config_, "--output", job_.dir().Join(output)});
    arguments.insert(arguments.end(), {"--set", "cluster.servers=" + std::to_string(servers),
                                       "--set", "data.cache=" + job_.dir().Join("cache")});
    last_ = RunTrestle({ranks, ranks > 1, arguments}).process;
    return Read(job_.dir().Join(output));
  }
  std::string test_file() const { return job_.dir().Join("test.parquet"); }
  bool Exists(const std::string& name) const {
    return std::filesystem::exists(job_.dir().Join(name));
  }

  const SmallJob job_;
  const std::string config_ = job_.Config();
  ProcessResult last_;
};

TEST_F(PredictTest, IsTheSameFileOnAnyRanksAndHasTheMetricsOfEval) {
  const std::vector<std::string> all = {
      "--input",      test_file(), "--columns", "row,user,click", "--attention",
      "--embeddings", "--bid",     "price",     "--request",      "user"};
  const std::string parquet = Predict("one.parquet", all);
  ASSERT_EQ(last_.exit_code, 0) << last_.output;
  EXPECT_TRUE(Predict("three.parquet", all, 3, 1) == parquet) << last_.output;
  const std::string csv = Predict("one.csv", all);
  EXPECT_TRUE(Predict("two.csv", all, 2) == csv) << last_.output;

  const auto lines = Lines(csv);
  ASSERT_EQ(lines.size(), 1501u);
  EXPECT_EQ(lines[0], R"("row","user","click","logit","prediction","ecpm","rank","attention_hist",)"
                      R"("embedding_candidate","embedding_history","embedding_hidden")");
  std::vector<float> logits, labels;
  double sum = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const auto cells = Cells(lines[i]);
    EXPECT_EQ(cells[0], std::to_string(i - 1));
    labels.push_back(cells[2] == "1");
    logits.push_back(std::strtof(cells[3].c_str(), nullptr));
    const double prediction = std::strtod(cells[4].c_str(), nullptr);
    EXPECT_EQ(prediction, Probability(logits.back()));
    const double bid = 0.25 * static_cast<double>((i - 1) % 11);
    EXPECT_EQ(std::strtod(cells[5].c_str(), nullptr), 1000 * bid * prediction);
    sum += prediction;
  }
  const JobResult eval = RunTrestle({1, false, {"eval", config_}});
  ASSERT_EQ(eval.process.exit_code, 0) << eval.process.output;
  const nlohmann::json metrics = Events(job_, "eval").back();
  EXPECT_EQ(ExactAuc(logits, labels), metrics["auc"].get<double>());
  double clicks = 0;
  for (const float label : labels) clicks += label;
  EXPECT_NEAR(sum / clicks, metrics["pcoc"].get<double>(), 1e-9);
}

TEST_F(PredictTest, IsCorrectedForNegativesThatWereLeftOutAsEvalIs) {
  const std::vector<std::string> half = {"--set", "data.negative_keep=0.5", "--set",
                                         "checkpoint.dir=" + job_.dir().Join("half")};
  std::vector<std::string> train = {"train", config_}, eval = {"eval", config_};
  std::vector<std::string> predict = {"--input", test_file(), "--columns", "click"};
  for (auto* const arguments : {&train, &eval, &predict}) {
    arguments->insert(arguments->end(), half.begin(), half.end());
  }
  ASSERT_EQ(RunTrestle({1, false, train}).process.exit_code, 0);
  double sum = 0, clicks = 0;
  const auto lines = Lines(Predict("half.csv", predict));
  ASSERT_EQ(lines.size(), 1501u) << last_.output;
  for (size_t i = 1; i < lines.size(); ++i) {
    const auto cells = Cells(lines[i]);
    clicks += cells[0] == "1";
    sum += std::stod(cells[2]);
  }
  const std::string told =
      LineAfter(RunTrestle({1, false, eval}).process.output, "predicted/observed ");
  ASSERT_NE(told, "");
  EXPECT_NEAR(sum / clicks, std::stod(told), 1e-3);
}

TEST_F(PredictTest, TakesTextInItsOrderKeepsWhatIsRefusedAndLeavesNoCache) {
  std::ostringstream csv;
  csv << "id,item,user,hist,price\n";
  for (int i = 0; i < 300; ++i) {
    csv << 'x' << i << ',' << i * 7 % 53 + 40 << ',' << i % 97 + 40 << ',';
    for (int h = 0; h < i % 5; ++h) csv << (h ? "|" : "") << i % 53;
    csv << ',' << (i == 17 ? "cheap" : std::to_string(0.25 * (i % 11))) << '\n';
  }
  const std::string input = job_.dir().Write("rows.csv", csv.str());
  EXPECT_EQ(Predict("out.csv", {"--input", input, "--columns", "id,price"}), "");
  EXPECT_EQ(last_.exit_code, 3) << last_.output;
  EXPECT_THAT(last_.output,
              HasSubstr("rows.csv, line 19: price \"cheap\" is not a number (1 bad rows; "
                        "data.max_bad_rows allows 0)"));
  EXPECT_FALSE(Exists("cache"));
  EXPECT_FALSE(Exists("out.csv.tmp"));

  const std::vector<std::string> arguments = {"--input",  input,   "--columns",
                                              "id,price", "--set", "data.max_bad_rows=1"};
  const auto lines = Lines(Predict("out.csv", arguments, 2));
  ASSERT_EQ(last_.exit_code, 0) << last_.output;
  EXPECT_FALSE(Exists("cache"));
  EXPECT_THAT(last_.output, HasSubstr("1 rows were rejected and have none"));
  EXPECT_THAT(last_.output, HasSubstr(" % of ids unseen  "));
  EXPECT_THAT(last_.output, HasSubstr("/out.csv.rejected-rank-*.tsv list them"));
  EXPECT_THAT(Read(job_.dir().Join("out.csv.rejected-rank-0.tsv")),
              HasSubstr("rows.csv\t19\tprice\tprice \"cheap\" is not a number\n"));
  ASSERT_EQ(lines.size(), 301u);
  EXPECT_EQ(lines[18], R"("x17","cheap",,)");
  // The same rows as Parquet give the same bits, in lanes of the same rows (32 here).
  const auto whole = Lines(Predict("whole.csv", {"--input", test_file(), "--columns", "row"}));
  for (size_t i = 0; i < 300; ++i) {
    if (i == 17) continue;
    const auto cells = Cells(lines[i + 1]), expected = Cells(whole[i + 1]);
    EXPECT_EQ(cells[0], "\"x" + std::to_string(i) + "\"");
    if (i >= 32 && i < 288) {
      EXPECT_EQ(cells[2], expected[1]) << i;
    }
    EXPECT_NEAR(std::stod(cells[2]), std::stod(expected[1]), 1e-6) << i;
  }
}

TEST_F(PredictTest, SaysWhatIsWrong) {
  const std::string input = test_file();
  Predict("a.txt", {"--input", input});
  EXPECT_EQ(last_.exit_code, 2);
  EXPECT_THAT(last_.output, HasSubstr("must end in .parquet or .csv"));
  Predict("test.parquet", {"--input", input});
  EXPECT_EQ(last_.exit_code, 2);
  EXPECT_THAT(last_.output, HasSubstr("test.parquet; choose another file"));
  Predict("nowhere/a.csv", {"--input", input});
  EXPECT_EQ(last_.exit_code, 2);
  EXPECT_THAT(last_.output, HasSubstr("/nowhere; make it first"));
  const std::string text = job_.dir().Write("new.csv", "id,user,item,hist,price\n1,2,3,,0.5\n");
  for (const std::string& file : {input, text}) {  // in place, and before it is imported
    Predict("a.csv", {"--input", file, "--columns", "usr"});
    EXPECT_EQ(last_.exit_code, 3);
    EXPECT_THAT(last_.output, HasSubstr("did you mean \"user\"?"));
    EXPECT_EQ(last_.output.find("importing"), std::string::npos) << last_.output;
  }
  EXPECT_FALSE(Exists("cache"));
  Predict("a.csv", {"--input", job_.dir().Join("none.csv")}, 2);
  EXPECT_EQ(last_.exit_code, 4) << last_.output;
  EXPECT_THAT(last_.output, HasSubstr("none.csv: no such file"));
  Predict("a.csv", {"--input", job_.dir().Write("empty.csv", "user,item,hist,price\n")});
  EXPECT_EQ(last_.exit_code, 3);
  EXPECT_THAT(last_.output, HasSubstr("empty.csv: has no rows"));
  WriteParquet(job_.dir().Join("text.parquet"),
               {{"user", Values("string", R"(["7"])")},
                {"item", Values("int64", "[3]")},
                {"hist", Values("list<int64>", "[[1]]")},
                {"price", Values("double", "[1]")}},
               1);
  Predict("a.csv", {"--input", job_.dir().Join("text.parquet")}, 2);
  EXPECT_EQ(last_.exit_code, 3);
  EXPECT_THAT(last_.output,
              HasSubstr("column \"user\" holds strings, training read integers: the model"));
  Predict("a.csv", {"--input", input, "--checkpoint", job_.dir().Join("nowhere")});
  EXPECT_EQ(last_.exit_code, 4);
  EXPECT_THAT(last_.output,
              HasSubstr("no checkpoint to predict with (`trestle train` writes them)"));
  EXPECT_FALSE(Exists("a.csv"));
}

TEST_F(PredictTest, ThatIsStoppedWritesNothing) {
  const std::string input = job_.WriteRows("many.parquet", 200'000, 0);
  const std::string output = job_.dir().Join("out.csv");
  Process job(JobCommand(
      {2,
       true,
       {"predict", config_, "--input", input, "--output", output, "--set", "batch.rows=16"}}));
  for (int tries = 0; tries < 3000 && !Exists("out.csv.tmp"); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // a few of its 12,500 steps
  job.Signal(SIGUSR2);
  const ProcessResult result = job.Wait();
  EXPECT_EQ(result.exit_code, 130) << result.output;
  EXPECT_THAT(result.output, HasSubstr("stopped on request; no predictions were written"));
  EXPECT_FALSE(Exists("out.csv"));
  EXPECT_FALSE(Exists("out.csv.tmp"));
}

// Clicks depend on `strong` alone; `useless` is noise that no row shares.
TEST(ImportanceOfFeatures, RanksAPlantedStrongOneFirstAndAUselessOneLast) {
  const TempDir dir("importance");
  std::string csv = "y,useless,weak,strong\n";
  uint32_t noise = 1;
  const auto draw = [&noise](uint32_t below) {
    noise = noise * 1664525 + 1013904223;
    return (noise >> 8) % below;
  };
  for (int i = 0; i < 6000; ++i) {
    const uint32_t strong = draw(10), weak = draw(10), useless = draw(10);
    csv += std::to_string(draw(100) < 8 * strong + 2 * weak) + "," + std::to_string(useless) + "," +
           std::to_string(weak) + "," + std::to_string(strong) + "\n";
  }
  dir.Write("a.csv", csv);
  const std::string config =
      dir.Write("c.textproto",
                "data { train: \"" + dir.Join("a.csv") + "\" label: \"y\" holdout: 0.3 cache: \"" +
                    dir.Join("cache") +
                    "\" }\nfeatures { id { columns: [\"useless\", \"weak\"] dim: 4 }\n"
                    "  numeric { columns: \"strong\" scale: STANDARD } }\n"
                    "model { base { mlp { units: [16] } } }\n"
                    "optimizer { embedding { adagrad { lr: 0.1 } } dense { adam { lr: 0.01 } } }\n"
                    "batch { rows: 256 lanes: 4 }\ntrain { epochs: 2 }\n"
                    "checkpoint { dir: \"" +
                    dir.Join("run") + "\" }\n");
  ASSERT_EQ(RunTrestle({1, false, {"train", config}}).process.exit_code, 0);
  const std::string one = RunTrestle({1, false, {"eval", config, "--importance"}}).process.output;
  const std::string two = RunTrestle({2, true, {"eval", config, "--importance"}}).process.output;
  const size_t begin = one.find("feature");
  ASSERT_NE(begin, std::string::npos) << one;
  const auto lines = Lines(one.substr(begin));
  ASSERT_GE(lines.size(), 4u) << one;
  EXPECT_EQ(lines[1].find("strong "), 0u) << one;
  EXPECT_EQ(lines[2].find("weak "), 0u) << one;
  EXPECT_EQ(lines[3].find("useless "), 0u) << one;
  EXPECT_THAT(two, HasSubstr(one.substr(begin)));

  const auto refused = RunTrestle({1,
                                   false,
                                   {"predict", config, "--input", dir.Join("a.csv"), "--output",
                                    dir.Join("o.csv"), "--attention"}});
  EXPECT_EQ(refused.process.exit_code, 2);
  EXPECT_THAT(refused.process.output, HasSubstr("--attention: "));
  EXPECT_THAT(refused.process.output, HasSubstr("this model weighs no history"));
}

}  // namespace
}  // namespace trestle
