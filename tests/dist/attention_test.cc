// Attention works: on planted data in which only behaviours of the candidate's category matter, DIN
// beats Base by far, and comes near the best possible AUC. The full-size comparison (900,000 rows)
// is in docs/measurements.md.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

double TestAuc(const std::string& model, const TempDir& folder) {
  const std::string config =
      std::string(TRESTLE_SOURCE_DIR) + "/configs/plant_" + model + ".textproto";
  std::vector<std::string> arguments = {"train", config};
  for (const std::string& set :
       {"data.train=" + folder.Join("plant_train-*.parquet"),
        "data.test=" + folder.Join("plant_test.parquet"), std::string("batch.rows=256"),
        std::string("optimizer.dense.adam.lr=0.003"),
        std::string("optimizer.embedding.adagrad.lr=0.05"),
        "checkpoint.dir=" + folder.Join(model)}) {
    arguments.insert(arguments.end(), {"--set", set});
  }
  const JobResult result = RunTrestle({2, true, arguments});
  EXPECT_EQ(result.process.exit_code, 0) << result.process.output;
  return std::atof(LineAfter(result.process.output, "test  auc ").c_str());
}

TEST(Attention, SeparatesDinFromBaseOnPlantedData) {
  const TempDir folder;
  const JobResult synth = RunTrestle({1,
                                      false,
                                      {"synth", "plant", folder.path(), "--rows", "150000",
                                       "--categories", "50", "--interests", "4"}});
  ASSERT_EQ(synth.process.exit_code, 0) << synth.process.output;
  const double best =
      std::atof(LineAfter(synth.process.output, "best possible AUC on 15000 test rows ").c_str());
  const double base = TestAuc("base", folder);
  const double din = TestAuc("din", folder);
  EXPECT_GT(din, base + 0.06);
  EXPECT_GT(din, best - 0.06);
  EXPECT_LT(din, best + 0.01) << "better than possible: the label leaks";
}

}  // namespace
}  // namespace trestle
