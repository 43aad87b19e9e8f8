// Two commands from raw files that nobody prepared to a trained model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class Init : public testing::Test {
 protected:
  ProcessResult Trestle(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), std::string(TRESTLE_BINARY_DIR) + "/bin/trestle");
    return RunCommand({arguments, {}, dir_.path()});
  }
  std::string Read(const std::string& name) {
    return FileSystem::Local().Read(dir_.Join(name)).value();
  }
  // The value behind a name on the `test` line.
  static double Metric(const std::string& output, const std::string& name) {
    const size_t line = output.rfind("\ntest  ");
    EXPECT_NE(line, std::string::npos) << output;
    return line == std::string::npos
               ? 0
               : std::stod(output.substr(output.find(name, line) + name.size()));
  }

  const TempDir dir_{"init"};
};

// Ratings with titles in quotes, genres in one cell, dates, blanks: 20 columns.
std::string MovieLensLike(int rows) {
  std::mt19937 random(1);
  const std::array<const char*, 6> genres = {"Action", "Comedy", "Drama",
                                             "Horror", "Sci-Fi", "War"};
  std::string text =
      "userId,movieId,rating,timestamp,title,genres,year,gender,age,occupation,zip,city,device,"
      "review,imdb_score,runtime,votes,language,country,row_id\n";
  for (int i = 0; i < rows; ++i) {
    const auto user = random() % 300, movie = random() % 400;
    const bool liked = (user + movie) % 2 == 0;
    const double rating = (liked ? 4 : 2) + 0.5 * (random() % 3) - 0.5;
    std::string list = genres[movie % 6];
    if (movie % 3) list += std::string("|") + genres[(movie / 6) % 6];
    const auto blank = [&](const std::string& cell) { return random() % 12 ? cell : ""; };
    for (const std::string& cell :
         {std::to_string(user + 1),
          std::to_string(movie + 1),
          std::to_string(rating).substr(0, 3),
          std::to_string(964'982'703 + random() % 90'000'000),
          std::string("\"Movie, The ") + std::to_string(movie) + std::string(" (") +
              std::to_string(1950 + movie % 60) + ")\"",
          list,
          blank(std::to_string(1950 + movie % 60)),
          blank(user % 2 ? "M" : "F"),
          blank(std::to_string(18 + user % 50)),
          std::string("\"exec \"\"") + std::to_string(user % 20) + "\"\"\"",
          std::to_string(10'000 + user % 77),
          std::string("City ") + std::to_string(user % 30),
          user % 3 ? std::string("phone") : std::string("tv"),
          std::string("I thought that number ") + std::to_string(random()) +
              " was a very good movie to see again",
          blank(std::to_string(1 + movie % 9) + std::string(".") + std::to_string(movie % 10)),
          std::to_string(80 + movie % 60),
          std::to_string((movie + 1) * (movie + 1) * 7),
          std::string("en"),
          movie % 5 ? std::string("US") : std::string("FR"),
          std::to_string(i)}) {
      text += (text.back() == '\n' ? "" : ",") + cell;
    }
    text += "\n";
  }
  return text;
}

// Impressions with ids as texts, a history that holds values of the candidate, NULLs, tabs.
std::string AdsLike(int rows) {
  std::mt19937 random(2);
  std::string text =
      "impression\tclk\ttime_stamp\tuser\tadgroup_id\tcate_id\tbrand\tcustomer\tprice\tpid\tage_"
      "level\t"
      "shopping_level\toccupation\tnew_user\thist_cate_id\tposition\tbid\tweekday\tcampaign\tclick_"
      "copy\n";
  for (int i = 0; i < rows; ++i) {
    const auto user = random() % 500, ad = random() % 200, cate = ad % 20;
    std::string history;
    bool match = false;
    for (auto n = random() % 8; n > 0; --n) {
      const auto item = random() % 20;
      match = match || item == cate;
      if (!history.empty()) history += '|';
      history += std::to_string(item);
    }
    const std::string click =
        random() % 100 < (match ? 20u : 5u) + (cate % 4 == 0 ? 60 : 0) ? "1" : "0";
    const auto or_null = [&](const std::string& cell) { return random() % 10 ? cell : "NULL"; };
    for (const std::string& cell :
         {std::string("imp-") + std::to_string(i),
          click,
          std::string("2017-05-0") + std::to_string(1 + random() % 8) + std::string(" 12:3") +
              std::to_string(random() % 10) + ":00",
          std::string("u") + std::to_string(user),
          std::to_string(ad),
          std::to_string(cate),
          or_null(std::to_string(ad % 50)),
          std::to_string(ad % 70),
          std::to_string(random() % 500) + ".99",
          user % 2 ? std::string("430548_1007") : std::string("430539_1007"),
          or_null(std::to_string(user % 7)),
          std::to_string(user % 4),
          std::to_string(user % 2),
          std::string(""),
          history,
          std::to_string(random() % 5),
          or_null(std::string("0.") + std::to_string(1 + random() % 90)),
          std::to_string(random() % 7),
          std::to_string(ad % 33),
          click}) {
      text += (text.back() == '\n' ? "" : "\t") + cell;
    }
    text += "\n";
  }
  return text;
}

TEST_F(Init, ThenTrainLearnsFromRatingsThatNobodyPrepared) {
  dir_.Write("ratings.csv", MovieLensLike(12'000));
  const ProcessResult init = Trestle({"init", "ratings.csv", "--label", "rating"});
  ASSERT_EQ(init.exit_code, 0) << init.output;
  const std::string config = Read("ratings.textproto");
  EXPECT_THAT(config, HasSubstr("positive_from: "));
  EXPECT_THAT(config, HasSubstr("group: \"userId\""));
  EXPECT_THAT(config, HasSubstr("id { columns: \"movieId\"  type: INTEGER"));
  EXPECT_THAT(config, HasSubstr("id { columns: \"timestamp\"  time: HOUR_OF_WEEK"));
  EXPECT_THAT(config, HasSubstr("bag { columns: \"genres\""));
  EXPECT_THAT(config, HasSubstr("numeric { columns: \"imdb_score\""));
  EXPECT_THAT(config, HasSubstr("left out: language  # the same in every row"));
  EXPECT_THAT(config, HasSubstr("left out: review  # another one in nearly every row"));
  EXPECT_THAT(init.output, ContainsRegex("movieId +id +400"));
  const ProcessResult train = Trestle({"train", "ratings.textproto"});
  ASSERT_EQ(train.exit_code, 0) << train.output;
  EXPECT_THAT(train.output, HasSubstr("imported 12000 rows, 0 rejected"));
  EXPECT_GT(Metric(train.output, " auc "), 0.6) << train.output;
}

TEST_F(Init, ThenTrainLearnsFromAdsThatNobodyPrepared) {
  dir_.Write("raw/ads.tsv", AdsLike(12'000));
  const ProcessResult init = Trestle({"init", "raw/ads.tsv", "--label", "clk"});
  ASSERT_EQ(init.exit_code, 0) << init.output;
  const std::string config = Read("ads.textproto");
  EXPECT_THAT(config, HasSubstr("label: \"clk\""));
  EXPECT_THAT(config, Not(HasSubstr("positive_from")));
  EXPECT_THAT(config, HasSubstr("missing: \"NULL\""));
  EXPECT_THAT(config, HasSubstr("like: \"cate_id\""));
  EXPECT_THAT(config, HasSubstr("candidate: \"cate_id\"  history: \"hist_cate_id\""));
  EXPECT_THAT(config, HasSubstr("left out: click_copy  # equals the label in every row"));
  EXPECT_THAT(config, HasSubstr("left out: new_user  # empty in every row"));
  EXPECT_THAT(config, HasSubstr("left out: impression  # another one in nearly every row"));
  const ProcessResult train = Trestle({"train", "ads.textproto"});
  ASSERT_EQ(train.exit_code, 0) << train.output;
  EXPECT_GT(Metric(train.output, " auc "), 0.6) << train.output;
  // A second training imports nothing.
  const ProcessResult again = Trestle({"train", "ads.textproto", "--fresh"});
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_THAT(again.output, Not(HasSubstr("import")));
  const ProcessResult eval = Trestle({"eval", "ads.textproto"});
  EXPECT_EQ(eval.exit_code, 0) << eval.output;
  EXPECT_EQ(Metric(eval.output, " auc "), Metric(again.output, " auc "));
}

TEST_F(Init, MistakesAreOneLine) {
  dir_.Write("a.csv", "clk,x\n1,2\n0,3\n");
  const auto expect = [&](std::vector<std::string> arguments, int code, const std::string& text) {
    const ProcessResult result = Trestle(std::move(arguments));
    EXPECT_EQ(result.exit_code, code) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
  };
  expect({"init", "a.csv", "--label", "click"}, 2,
         "--label click: no such column; did you mean \"clk\"?");
  expect({"init", "gone.csv", "--label", "clk"}, 4, "gone.csv: no such file");
  expect({"init", "a.csv", "--label", "clk", "--group", "y"}, 2, "--group y: no such id");
  dir_.Write("a.textproto", "");
  expect({"init", "a.csv", "--label", "clk"}, 2, "a.textproto: exists");
}

TEST_F(Init, FilesWithoutAHeaderAndOtherFormats) {
  std::string plain, criteo, json;
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    const std::string y = std::to_string(i % 2), id = std::to_string(random() % 50);
    plain += y + "," + id + std::string(",") + std::to_string(i % 9) + "\n";
    criteo += y;
    for (int c = 0; c < 13; ++c)
      criteo.append("\t").append(random() % 4 ? std::to_string(random() % 900) : "");
    for (int c = 0; c < 26; ++c)
      criteo.append("\t").append(random() % 9 ? std::to_string(6'800'000 + random() % 9) : "");
    criteo += "\n";
    json += "{\"y\": " + y + ", \"id\": \"a" + id + "\", \"tags\": [" + id + ", 7]}\n";
  }
  dir_.Write("plain.csv", plain);
  dir_.Write("day.tsv", criteo);
  dir_.Write("rows.jsonl", json);
  const auto train = [&](std::vector<std::string> init, const std::string& config) {
    const ProcessResult looked = Trestle(std::move(init));
    EXPECT_EQ(looked.exit_code, 0) << looked.output;
    const ProcessResult trained = Trestle({"train", config, "--set", "train.epochs=1"});
    EXPECT_EQ(trained.exit_code, 0) << trained.output << Read(config);
    EXPECT_THAT(trained.output, HasSubstr("imported 3000 rows, 0 rejected"));
  };
  train({"init", "plain.csv", "--label", "y", "--columns", "y,id,kind"}, "plain.textproto");
  train({"init", "day.tsv", "--label", "label"}, "day.textproto");
  EXPECT_THAT(Read("day.textproto"), HasSubstr("format: CRITEO"));
  train({"init", "rows.jsonl", "--label", "y"}, "rows.textproto");
}

}  // namespace
}  // namespace trestle
