// A trained model gives the same metrics wherever it is evaluated: `trestle eval` at another number
// of ranks and servers prints the very line that training printed.
#include <gtest/gtest.h>

#include "tests/support/small_job.h"

namespace trestle {
namespace {

JobResult RunJob(const std::string& command, const std::string& config, const Shape& shape) {
  std::vector<std::string> arguments = {command, config, "--set",
                                        "cluster.servers=" + std::to_string(shape.servers)};
  if (command == "train") arguments.push_back("--fresh");
  const JobResult result = RunTrestle({shape.ranks, shape.mpirun, arguments});
  EXPECT_EQ(result.process.exit_code, 0) << result.process.output;
  return result;
}

TEST(Eval, PrintsTheMetricsOfTheTrainingRunInAnyShape) {
  const std::vector<Shape> shapes = {{1, false, 0}, {2, true, 0}, {3, true, 1}, {4, true, 2}};
  const SmallJob job;
  const std::string config = job.Config();
  for (const Shape& trained : {shapes[0], shapes[3]}) {
    const std::string line = LineAfter(RunJob("train", config, trained).process.output, "test  ");
    EXPECT_EQ(line.find("auc 0."), 0u) << line;
    EXPECT_NE(line.find("1500 rows"), std::string::npos) << line;
    EXPECT_EQ(line.find(" 0.0 %"), std::string::npos) << "no key is unseen: " << line;
    for (const Shape& shape : shapes) {
      EXPECT_EQ(LineAfter(RunJob("eval", config, shape).process.output, "test  "), line)
          << trained.ranks << " to " << shape.ranks << " ranks";
    }
  }
}

TEST(Eval, ASetWithoutRowsIsToldByItsName) {
  const SmallJob job;
  const std::string file = job.dir().Write("new.csv", "user,item,hist,price,click\n1,2,3,4,5\n");
  const std::string config = job.Config("eval { set { name: \"new\" files: \"" + file + "\" } }\n");
  const JobResult result = RunTrestle({2,
                                       true,
                                       {"train", config, "--set", "data.max_bad_rows=1", "--set",
                                        "data.cache=" + job.dir().Join("cache")}});
  EXPECT_EQ(result.process.exit_code, 3) << result.process.output;
  EXPECT_NE(
      result.process.output.find("eval.set new: its files have no rows, or all were rejected"),
      std::string::npos)
      << result.process.output;
}

}  // namespace
}  // namespace trestle
