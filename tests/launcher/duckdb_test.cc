// What is said of a DuckDB that is missing, that fails, or that is ended from outside.
#include "launcher/prepare/duckdb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

TEST(DuckDb, OutOfMemoryAndAFullDiskHaveTheirCodes) {
  const Status memory = DuckDbError("Out of Memory Error: failed to pin block\n\nPossible\n");
  EXPECT_EQ(memory.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(memory.ToString(),
            "duckdb: Out of Memory Error: failed to pin block; give more --memory");
  const Status disk = DuckDbError("IO Error: Could not write file \"x\": No space left on device");
  EXPECT_EQ(disk.code(), StatusCode::kIoError);
  EXPECT_EQ(disk.ToString(),
            "duckdb: IO Error: Could not write file \"x\": No space left on device");
}

// A program of that name which somebody kills.
TEST(DuckDb, OneThatWasKilledIsNamedWithItsSignal) {
  const TempDir dir;
  const std::string program = dir.Write("duckdb", "#!/bin/sh\nkill -9 $$\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const auto duckdb = DuckDb::Find(program);
  ASSERT_TRUE(duckdb.ok()) << duckdb.status().ToString();
  const Status status = duckdb->Run(FileSystem::Local(), {{dir.Join("step.sql"), "SELECT 1;"}}, 1,
                                    [](size_t, const DuckDb::Rows&) { return Status(); });
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_THAT(status.ToString(), HasSubstr("duckdb was ended by signal 9; if that was the system's "
                                           "out-of-memory killer, give less --memory"));
}

// A copy of the program has no .venv beside it.
TEST(DuckDb, OneThatIsNotInstalledIsNamedWithItsCure) {
  const TempDir dir, raw;
  raw.Write("raw_sample.csv", "user,time_stamp,adgroup_id,pid,nonclk,clk\n");
  raw.Write("ad_feature.csv", "adgroup_id,cate_id,campaign_id,customer,brand,price\n");
  raw.Write("user_profile.csv",
            "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,"
            "shopping_level,occupation,new_user_class_level\n");
  raw.Write("behavior_log.csv", "user,time_stamp,btag,cate,brand\n");
  const std::string trestle = dir.Join("trestle");
  std::filesystem::copy_file(std::string(TRESTLE_BINARY_DIR) + "/bin/trestle", trestle);
  const ProcessResult result = RunCommand(
      {{trestle, "prepare", "taobao", raw.path(), dir.Join("out")}, {{"PATH", "/nowhere"}}, ""});
  EXPECT_EQ(result.exit_code, 4) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("the program duckdb is missing: scripts/setup installs it into .venv"));
}

}  // namespace
}  // namespace trestle
