// Training straight from a CSV: any number of ranks imports it once, to the same bytes, and trains
// to the same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

TEST(ImportThenTrain, EndsInTheSameDigestOnAnyRanks) {
  const TempDir dir("import_train");
  std::string csv = "y,id,name,tags,x\n";
  for (int i = 0; i < 20'000; ++i) {
    const std::string n = std::to_string(i * 7 % 301);
    csv += std::to_string(i % 3 == 0) + "," + n + ",\"n, " + n + "\"," + n + "|3," + n + ".25\n";
  }
  dir.Write("a.csv", csv);
  dir.Write("c.textproto", R"(data { train: "a.csv" label: "y" holdout: 0.1 }
features {
  id { columns: ["id", "name"] dim: 4 }
  sequence { columns: "tags" like: "id" }
  numeric { columns: "x" scale: STANDARD }
}
model { base { mlp { units: [8] } } }
batch { rows: 512 lanes: 4 }
)");
  std::string expected;
  for (const int ranks : {1, 3}) {
    const std::string name = std::to_string(ranks);
    const std::vector<std::string> argv = {std::string(TRESTLE_BINARY_DIR) + "/bin/trestle",
                                           "train",
                                           "c.textproto",
                                           "--set",
                                           "checkpoint.dir=runs/" + name,
                                           "--set",
                                           "data.cache=cache/" + name};
    Command command = ranks == 1 ? Command{argv, {}, ""} : Mpirun(ranks, argv);
    command.folder = dir.path();
    const ProcessResult result = RunCommand(command);
    ASSERT_EQ(result.exit_code, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("imported 20000 rows, 0 rejected"));
    const size_t at = result.output.find("\ndigest ");
    ASSERT_NE(at, std::string::npos) << result.output;
    const std::string digest = result.output.substr(at + 8, 16);
    if (expected.empty()) expected = digest;
    EXPECT_EQ(digest, expected);
  }
}

}  // namespace
}  // namespace trestle
