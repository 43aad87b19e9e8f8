#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "base/filesystem.h"
#include "launcher/synth/taobao.h"
#include "tests/launcher/taobao_naive.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

constexpr const char* kNames[] = {"raw_sample.csv", "ad_feature.csv", "user_profile.csv",
                                  "behavior_log.csv", "oracle.csv"};

TaobaoSettings Small(int64_t rows = 20'000) {
  TaobaoSettings settings;
  settings.rows = rows;
  settings.behaviours = 60;
  settings.categories = 100;
  return settings;
}

TaobaoReport Write(const TaobaoSettings& settings, const std::string& folder, int threads = 2) {
  ThreadPool pool(threads);
  const auto report = WriteTaobao(FileSystem::Local(), settings, folder, pool);
  EXPECT_TRUE(report.ok()) << report.status().ToString();
  return report.ok() ? *report : TaobaoReport();
}

std::string Bytes(const TempDir& dir, const std::string& name) {
  const Result<std::string> bytes = FileSystem::Local().Read(dir.Join(name));
  EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
  return bytes.ok() ? *bytes : "";
}

TEST(TaobaoSynth, HeadersAreSpelledAsAlibabaDoes) {
  const TempDir dir;
  Write(Small(1000), dir.path());
  const auto header = [&](const char* name) {
    const std::string text = Bytes(dir, name);
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(header("raw_sample.csv"), "user,time_stamp,adgroup_id,pid,nonclk,clk");
  EXPECT_EQ(header("ad_feature.csv"), "adgroup_id,cate_id,campaign_id,customer,brand,price");
  EXPECT_EQ(header("user_profile.csv"),
            "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,"
            "shopping_level,occupation,new_user_class_level ");
  EXPECT_EQ(header("behavior_log.csv"), "user,time_stamp,btag,cate,brand");
}

TEST(TaobaoSynth, ImpressionsAreOfEightDaysAndLabelledTwice) {
  const TempDir dir;
  const TaobaoReport report = Write(Small(), dir.path());
  const auto rows = ReadCsv(dir.Join("raw_sample.csv"));
  ASSERT_EQ(rows.size(), 20'000u);
  std::set<std::string> users, ads, places;
  int64_t test_rows = 0;
  for (const auto& cell : rows) {
    const int64_t time = std::stoll(cell[1]);
    ASSERT_TRUE(time >= 1'494'000'000 && time < 1'494'691'200) << time;
    test_rows += time >= 1'494'604'800 ? 1 : 0;
    ASSERT_TRUE((cell[4] == "0" && cell[5] == "1") || (cell[4] == "1" && cell[5] == "0"));
    users.insert(cell[0]);
    ads.insert(cell[2]);
    places.insert(cell[3]);
  }
  EXPECT_EQ(report.test_rows, test_rows);
  EXPECT_NEAR(static_cast<double>(test_rows), 2500, 200);
  EXPECT_EQ(report.users, 869);
  EXPECT_GT(users.size(), 860u);
  EXPECT_EQ(report.ads, 600);
  EXPECT_GT(ads.size(), 590u);
  EXPECT_EQ(places, (std::set<std::string>{"430539_1007", "430548_1007"}));
}

TEST(TaobaoSynth, HasTheOdditiesOfTheRealFiles) {
  const TempDir dir;
  Write(Small(), dir.path());
  std::map<std::string, int> ads, profiles, log;
  for (const auto& cell : ReadCsv(dir.Join("ad_feature.csv"))) {
    ++ads["all"];
    ads["no brand"] += cell[4] == "NULL" ? 1 : 0;
  }
  for (const auto& cell : ReadCsv(dir.Join("user_profile.csv"))) {
    ++profiles["all"];
    profiles["no pvalue_level"] += cell[5].empty() ? 1 : 0;
    profiles["no new_user_class_level"] += cell[8].empty() ? 1 : 0;
  }
  std::set<std::string> users, kinds;
  std::vector<std::string> last(5);
  for (const auto& cell : ReadCsv(dir.Join("behavior_log.csv"))) {
    ++log["all"];
    log["no time"] += std::stoll(cell[1]) < 0 ? 1 : 0;
    log["twice"] += cell == last ? 1 : 0;
    log["same second"] += cell != last && cell[0] == last[0] && cell[1] == last[1] ? 1 : 0;
    users.insert(cell[0]);
    kinds.insert(cell[2]);
    last = cell;
  }
  EXPECT_NEAR(ads["no brand"], 0.29 * ads["all"], 0.06 * ads["all"]);
  EXPECT_LT(profiles["all"], 840);  // of 869 users
  EXPECT_NEAR(profiles["no pvalue_level"], 0.54 * profiles["all"], 0.06 * profiles["all"]);
  EXPECT_NEAR(profiles["no new_user_class_level"], 0.33 * profiles["all"], 0.06 * profiles["all"]);
  EXPECT_NEAR(log["all"], 60 * 869, 6 * 869);
  EXPECT_GT(log["no time"], 0);
  EXPECT_NEAR(log["twice"], 0.07 * log["all"], 0.01 * log["all"]);
  EXPECT_NEAR(log["same second"], 0.05 * log["all"], 0.01 * log["all"]);
  EXPECT_LT(users.size(), 869u) << "no user without behaviours";
  EXPECT_EQ(kinds, (std::set<std::string>{"buy", "cart", "fav", "pv"}));
}

// The oracle is a function of what prepare makes of the files, so no model can know more.
TEST(TaobaoSynth, OracleCountsTheHistoryThatPrepareCuts) {
  const TempDir dir;
  Write(Small(), dir.path());
  std::map<std::string, int64_t> category;
  for (const auto& cell : ReadCsv(dir.Join("ad_feature.csv"))) {
    category[cell[0]] = std::stoll(cell[1]);
  }
  const auto behaviours = NaiveBehaviours(dir.path());
  const auto samples = ReadCsv(dir.Join("raw_sample.csv")),
             oracle = ReadCsv(dir.Join("oracle.csv"));
  ASSERT_EQ(samples.size(), oracle.size());
  double clicks = 0, expected = 0;
  int in_a_behaviours_second = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    for (int c = 0; c < 3; ++c) ASSERT_EQ(samples[i][c], oracle[i][c]);
    const auto found = behaviours.find(std::stoll(samples[i][0]));
    const auto all = found == behaviours.end() ? std::vector<NaiveBehaviour>() : found->second;
    int64_t matches = 0;
    for (const auto& one : NaiveHistory(all, std::stoll(samples[i][1]))) {
      matches += std::get<1>(one) == category.at(samples[i][2]) ? 1 : 0;
    }
    ASSERT_EQ(matches, std::stoll(oracle[i][3])) << "row " << i;
    for (const auto& one : all)
      in_a_behaviours_second += std::get<0>(one) == std::stoll(samples[i][1]);
    const double logit = std::stod(oracle[i][4]), probability = std::stod(oracle[i][5]);
    EXPECT_NEAR(probability, 1 / (1 + std::exp(-logit)), 1e-6);
    expected += probability;
    clicks += samples[i][5] == "1" ? 1 : 0;
  }
  EXPECT_NEAR(clicks / expected, 1, 0.06);
  EXPECT_GT(in_a_behaviours_second, 100);
}

TEST(TaobaoSynth, SameBytesAtAnyNumberOfThreadsAndOthersForOtherSeeds) {
  const TempDir one, three, other;
  Write(Small(9001), one.path(), 1);
  Write(Small(9001), three.path(), 3);
  TaobaoSettings settings = Small(9001);
  settings.seed = 6;
  Write(settings, other.path());
  for (const char* name : kNames) {
    EXPECT_FALSE(Bytes(one, name).empty());
    EXPECT_TRUE(Bytes(one, name) == Bytes(three, name)) << name;
    EXPECT_FALSE(Bytes(one, name) == Bytes(other, name)) << name;
  }
}

// Peak memory of the program in KiB.
int64_t PeakOf(const std::string& rows, const std::string& folder) {
  const std::string program = std::string(TRESTLE_BINARY_DIR) + "/bin/trestle";
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Freed memory that a sanitizer holds back would count.
    ::setenv("ASAN_OPTIONS", "quarantine_size_mb=1:detect_leaks=0", 1);
    ::execl(program.c_str(), "trestle", "synth", "taobao", "--rows", rows.c_str(), "--behaviours",
            "20", "--threads", "2", folder.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  struct rusage usage = {};
  EXPECT_EQ(::wait4(pid, &status, 0, &usage), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  return usage.ru_maxrss;
}

TEST(TaobaoSynth, MemoryDoesNotGrowWithTheRows) {
  const TempDir dir;
  const int64_t small = PeakOf("50000", dir.path()), large = PeakOf("300000", dir.path());
  EXPECT_LT(large - small, 8 * 1024) << small << " KiB, then " << large << " KiB";
}

TEST(TaobaoSynth, ReplacesItsOwnFilesAndRefusesSettingsOutOfRange) {
  const TempDir dir;
  dir.Write("mine.csv", "stays");
  dir.Write("raw_sample.csv.unfinished", "of a call that was killed");
  EXPECT_EQ(Write(Small(1000), dir.path()).replaced_files, 0);
  const TaobaoReport again = Write(Small(1000), dir.path());
  EXPECT_EQ(again.replaced_files, 5);
  EXPECT_NE(TaobaoReportText(again, "x").find("replaced 5 files"), std::string::npos);
  EXPECT_EQ(FileSystem::Local().List(dir.path()).value().size(), 6u);
  ThreadPool pool(1);
  EXPECT_EQ(WriteTaobao(FileSystem::Local(), Small(3), dir.path(), pool).status().ToString(),
            "synth taobao: --rows 3 is out of range; allowed: 10 to 10000000000");
}

TEST(TaobaoSynth, DoesNotReplaceAlibabasOwnFiles) {
  const TempDir dir;
  dir.Write("raw_sample.csv", "as published");
  ThreadPool pool(1);
  EXPECT_EQ(WriteTaobao(FileSystem::Local(), Small(1000), dir.path(), pool).status().ToString(),
            dir.path() + " holds raw_sample.csv and no oracle.csv, so synth did not write it: "
                         "choose another folder");
  EXPECT_EQ(FileSystem::Local().Read(dir.Join("raw_sample.csv")).value(), "as published");
}

}  // namespace
}  // namespace trestle
