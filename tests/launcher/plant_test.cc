#include "launcher/synth/plant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/filesystem.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

PlantSettings Small(int64_t rows = 40'000) {
  PlantSettings settings;
  settings.rows = rows;
  return settings;
}

std::string Bytes(const TempDir& dir, const std::string& name) {
  const Result<std::string> bytes = FileSystem::Local().Read(dir.Join(name));
  EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
  return bytes.ok() ? *bytes : "";
}

TEST(PlantModel, RowIsAFunctionOfSeedAndPosition) {
  const PlantModel a(Small()), b(Small());
  PlantSettings other = Small();
  other.seed = 6;
  const PlantModel c(other);
  int equal = 0;
  for (const int64_t row : {0, 1, 17, 39'999}) {
    const PlantRow x = a.Row(row), y = b.Row(row);
    EXPECT_EQ(x.user, y.user);
    EXPECT_EQ(x.item, y.item);
    EXPECT_EQ(x.history_item, y.history_item);
    EXPECT_EQ(x.click, y.click);
    equal += x.user == c.Row(row).user ? 1 : 0;
  }
  EXPECT_LT(equal, 4);
}

TEST(PlantModel, RowsAreInRangeAndAUserHasOneHistory) {
  PlantSettings settings = Small(2000);
  settings.categories = 50;
  settings.interests = 3;
  const PlantModel model(settings);
  std::vector<PlantRow> first_of_user(settings.users());
  for (int64_t i = 0; i < settings.rows; ++i) {
    const PlantRow row = model.Row(i);
    ASSERT_TRUE(row.user >= 0 && row.user < settings.users());
    ASSERT_TRUE(row.item >= 0 && row.item < settings.items());
    ASSERT_TRUE(row.category >= 0 && row.category < settings.categories);
    ASSERT_TRUE(row.history >= kPlantMinHistory && row.history <= kPlantMaxHistory);
    std::set<int64_t> categories(row.history_category.begin(),
                                 row.history_category.begin() + row.history);
    EXPECT_LE(categories.size(), 3u);
    PlantRow& first = first_of_user[row.user];
    if (first.history == 0) first = row;
    EXPECT_EQ(first.history_item, row.history_item);
  }
}

TEST(PlantModel, ClickFollowsMatchesInTheHistory) {
  const PlantModel model(Small());
  double clicks[2] = {0, 0}, rows[2] = {0, 0}, expected = 0, observed = 0;
  for (int64_t i = 0; i < 20'000; ++i) {
    const PlantRow row = model.Row(i);
    int matches = 0;
    for (int h = 0; h < row.history; ++h) matches += row.history_category[h] == row.category;
    const int many = matches > 3 ? 1 : 0;
    clicks[many] += row.click;
    rows[many] += 1;
    expected += row.probability;
    observed += row.click;
    EXPECT_FLOAT_EQ(row.probability, 1.0f / (1.0f + std::exp(-row.z)));
  }
  EXPECT_GT(clicks[1] / rows[1], 2.5 * clicks[0] / rows[0]);
  EXPECT_NEAR(observed / expected, 1.0, 0.05);
}

TEST(WritePlant, SameBytesAtAnyNumberOfThreads) {
  const TempDir one, three;
  ThreadPool pool1(1), pool3(3);
  ASSERT_TRUE(WritePlant(Small(9001), one.path(), pool1).ok());
  ASSERT_TRUE(WritePlant(Small(9001), three.path(), pool3).ok());
  for (const char* name :
       {"plant_train-00000-of-00001.parquet", "plant_test.parquet", "plant_oracle.parquet"}) {
    EXPECT_FALSE(Bytes(one, name).empty());
    EXPECT_TRUE(Bytes(one, name) == Bytes(three, name)) << name;
  }
}

TEST(WritePlant, ShapeAndBestAucAreTheDocumentedOnes) {
  const TempDir dir;
  ThreadPool pool(2);
  // Seeds differ by about 0.01 in the AUC of 10,000 test rows.
  const Result<PlantReport> report = WritePlant(Small(100'000), dir.path(), pool);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->train_rows, 90'000);
  EXPECT_EQ(report->test_rows, 10'000);
  EXPECT_EQ(report->best_auc_rows, 10'000);
  EXPECT_NEAR(report->mean_history, 30, 0.7);
  EXPECT_NEAR(report->click_rate, 0.165, 0.01);
  EXPECT_GT(report->best_auc, 0.76);
  EXPECT_LT(report->best_auc, 0.78);
  const std::string text = PlantReportText(*report, "x");
  EXPECT_NE(text.find("90000 training rows"), std::string::npos) << text;
}

TEST(WritePlant, LongTrainingDataIsSeveralFiles) {
  if (kSanitized) GTEST_SKIP() << "too many rows for a sanitizer";
  const TempDir dir;
  ThreadPool pool(2);
  ASSERT_TRUE(WritePlant(Small(300'000), dir.path(), pool).ok());
  const auto files = FileSystem::Local().Glob(dir.Join("plant_train-*-of-00002.parquet"));
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->size(), 2u);
}

// Training rows of the larger data are test rows of the smaller.
TEST(WritePlant, SmallerDataReplacesAllFilesOfLargerData) {
  if (kSanitized) GTEST_SKIP() << "too many rows for a sanitizer";
  const TempDir dir, fresh;
  ThreadPool pool(2);
  dir.Write("plant_train-mine.parquet", "not ours");
  dir.Write("plant_test.parquet.unfinished", "of a call that was killed");
  ASSERT_TRUE(WritePlant(Small(300'000), dir.path(), pool).ok());
  const Result<PlantReport> report = WritePlant(Small(9001), dir.path(), pool);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->replaced_files, 4);
  EXPECT_NE(PlantReportText(*report, "x").find("\nreplaced 4 plant_* files of an earlier call\n"),
            std::string::npos);
  EXPECT_EQ(
      FileSystem::Local().List(dir.path()).value(),
      (std::vector<std::string>{"plant_oracle.parquet", "plant_test.parquet",
                                "plant_train-00000-of-00001.parquet", "plant_train-mine.parquet"}));
  const Result<PlantReport> alone = WritePlant(Small(9001), fresh.path(), pool);
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(PlantReportText(*alone, "x").find("replaced"), std::string::npos);
  EXPECT_TRUE(Bytes(dir, "plant_test.parquet") == Bytes(fresh, "plant_test.parquet"));
}

TEST(WritePlant, RefusesSettingsOutOfRangeAndFoldersItCannotWrite) {
  const TempDir dir;
  ThreadPool pool(1);
  EXPECT_EQ(WritePlant(Small(3), dir.path(), pool).status().ToString(),
            "synth plant: --rows 3 is out of range; allowed: 10 to 100000000000");
  PlantSettings settings = Small();
  settings.interests = 65;
  EXPECT_EQ(WritePlant(settings, dir.path(), pool).status().code(), StatusCode::kInvalidConfig);
  const std::string file = dir.Write("file", "");
  EXPECT_EQ(WritePlant(Small(), file + "/folder", pool).status().code(), StatusCode::kIoError);
}

}  // namespace
}  // namespace trestle
