#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

class PrepareImportCommand : public testing::Test {
 protected:
  ProcessResult Import(const std::string& csv, const std::vector<std::string>& more = {}) {
    dir_.Write("a.csv", csv);
    dir_.Write("c.textproto", R"(data { train: "a.csv" label: "y" }
features { id { columns: "id" type: INTEGER } numeric { columns: "x" } }
model { base { } }
)");
    std::vector<std::string> argv = {std::string(TRESTLE_BINARY_DIR) + "/bin/trestle", "prepare",
                                     "import", "c.textproto"};
    argv.insert(argv.end(), more.begin(), more.end());
    return RunCommand({argv, {}, dir_.path()});
  }

  const TempDir dir_{"prepare_import"};
};

TEST_F(PrepareImportCommand, TellsRowsAndStatistics) {
  const ProcessResult result =
      Import("y,id,x\n1,2,3\n0,4,5\n", {"--threads", "3", "--memory", "64M"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("importing 1 file of data.train, 0.0 MB, into data/cache/c\n"));
  EXPECT_THAT(result.output, HasSubstr("imported 2 rows, 0 rejected\n"));
  EXPECT_THAT(result.output, HasSubstr("a.csv  2 rows, 0 rejected\n"));
  EXPECT_THAT(result.output, HasSubstr("  x  2 cells, 0 missing, mean 4, deviation 1, 3 to 5\n"));
}

TEST_F(PrepareImportCommand, BadRowsStopItUnlessTheyAreAllowed) {
  const std::string csv = "y,id,x\n1,2,3\n0,z,5\n";
  const ProcessResult refused = Import(csv);
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.output, HasSubstr("trestle: error: 1 rows were rejected by the import"));
  EXPECT_THAT(refused.output, HasSubstr("a.csv, line 3: id \"z\" is not an integer of 64 bits"));
  const ProcessResult train = Import(csv, {"--set", "data.max_bad_rows=1"});
  EXPECT_EQ(train.exit_code, 0) << train.output;
}

TEST_F(PrepareImportCommand, MemoryIsASizeAndNotTooLittle) {
  for (const char* memory : {"64MB", "1g", "100000000"}) {
    EXPECT_EQ(Import("y,id,x\n1,2,3\n", {"--memory", memory}).exit_code, 0) << memory;
  }
  for (const char* memory : {"1", "63M", "x", "-2G"}) {
    const ProcessResult refused = Import("y,id,x\n1,2,3\n", {"--memory", memory});
    EXPECT_EQ(refused.exit_code, 2) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr("--memory")) << memory;
  }
  EXPECT_THAT(Import("y,id,x\n1,2,3\n", {"--memory", "63M"}).output,
              HasSubstr("--memory: at least 64MB"));
}

TEST_F(PrepareImportCommand, MistakesOfTheConfigAreCode2) {
  const ProcessResult text = Import("y,id,x\n", {"--set", "data.text.delimiter=ab"});
  EXPECT_EQ(text.exit_code, 2) << text.output;
  EXPECT_THAT(text.output, HasSubstr("--set data.text.delimiter=ab: data.text.delimiter: \"ab\" "
                                     "is not one byte"));
  const ProcessResult both =
      Import("y,id,x\n", {"--set", "data.holdout=0.1", "--set", "data.test=[b.csv]"});
  EXPECT_EQ(both.exit_code, 2) << both.output;
  EXPECT_THAT(both.output, HasSubstr("data.holdout: data.test names files to test with already"));
}

}  // namespace
}  // namespace trestle
