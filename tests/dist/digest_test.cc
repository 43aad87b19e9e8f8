// The promise of the project, under the real mpirun on real data: a trained model's digest does not
// depend on the number of ranks, threads or dedicated servers.
//
// The input is a part of KuaiRand with what makes trouble: rows without history, a rejected row,
// and a number of rows that leaves lanes of one row and lanes of none in the last batch. The
// network has Dice, dropout and Adam on.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

// 20 batches of 1,024 rows in 16 lanes, and 9 rows more: in the last batch 9 lanes have one row and
// 7 none. In 3 row groups of different sizes, so that lanes cross blocks.
constexpr int kRows = 20 * 1024 + 9;

class Digest : public testing::Test {
 protected:
  // Made once; the tests share it.
  static void SetUpTestSuite() {
    folder_ = new TempDir();
    const std::string source = std::string(TRESTLE_SOURCE_DIR) + "/data/kuairand/val.parquet";
    std::string replaced = "CASE WHEN n = 4321 THEN 2 ELSE long_view END AS long_view";
    for (const char* history : {"hist_video", "hist_author", "hist_tag"}) {
      replaced +=
          std::string(", CASE WHEN n % 10 = 0 THEN [] ELSE ") + history + " END AS " + history;
    }
    DuckDb("COPY (SELECT * EXCLUDE (n) REPLACE (" + replaced +
           ") FROM (SELECT *, row_number() OVER () AS n FROM read_parquet('" + source +
           "') LIMIT " + std::to_string(kRows) + ")) TO '" + Input() +
           "' (FORMAT parquet, ROW_GROUP_SIZE 8192)");
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  static std::string Input() { return folder_->path() + "/rows.parquet"; }

  static JobResult Train(int ranks, bool mpirun, const std::vector<std::string>& more) {
    const std::string config = std::string(TRESTLE_SOURCE_DIR) + "/configs/kuairand_din.textproto";
    std::vector<std::string> arguments = {"train", config, "--fresh"};
    std::vector<std::string> sets = {"data.train=" + Input(),
                                     "data.test=" + Input(),
                                     "data.max_bad_rows=1",
                                     "batch.rows=1024",
                                     "batch.lanes=16",
                                     "train.epochs=1",
                                     "train.seed=3",
                                     "model.din.attention.activation=DICE",
                                     "model.din.mlp.activation=DICE",
                                     "model.din.mlp.dropout=0.2",
                                     "optimizer.embedding.adam.lr=0.002",
                                     "optimizer.dense.adam.lr=0.001",
                                     "checkpoint.dir=" + folder_->path() + "/run"};
    sets.insert(sets.end(), more.begin(), more.end());
    for (const std::string& set : sets) {
      arguments.push_back("--set");
      arguments.push_back(set);
    }
    JobResult result = RunTrestle({ranks, mpirun, arguments});
    EXPECT_EQ(result.process.exit_code, 0) << result.process.output;
    EXPECT_EQ(result.digest.size(), 16u) << result.process.output;
    return result;
  }

  // Runs one process as the reference, then each of `runs`; all must agree in digest and metrics.
  struct Run {
    int ranks;
    std::vector<std::string> sets;
  };
  static void ExpectSameBits(const std::vector<std::string>& common, const std::vector<Run>& runs) {
    const JobResult reference = Train(1, false, common);
    EXPECT_NE(reference.process.output.find("20489 rows read, 1 rejected, 20489 expected"),
              std::string::npos)
        << reference.process.output;
    for (const Run& run : runs) {
      std::vector<std::string> sets = common;
      sets.insert(sets.end(), run.sets.begin(), run.sets.end());
      const JobResult result = Train(run.ranks, true, sets);
      const std::string what =
          std::to_string(run.ranks) + " ranks, " + testing::PrintToString(run.sets);
      EXPECT_EQ(result.digest, reference.digest) << what;
      for (const char* line : {"test  ", "ledger  "}) {
        EXPECT_EQ(LineAfter(result.process.output, line), LineAfter(reference.process.output, line))
            << what;
      }
    }
  }

 private:
  static inline TempDir* folder_ = nullptr;
};

TEST_F(Digest, IsTheSameAtAnyNumberOfRanksAndThreads) {
  ExpectSameBits({}, {{1, {"cluster.threads=1"}},
                      {1, {"cluster.threads=2"}},
                      {2, {"cluster.threads=1"}},
                      {2, {"cluster.threads=2"}},
                      {3, {"cluster.threads=1"}},
                      {4, {"cluster.threads=2"}},
                      {8, {"cluster.threads=1"}}});
}

TEST_F(Digest, IsTheSameAtAnyNumberOfDedicatedServers) {
  ExpectSameBits(
      {}, {{4, {"cluster.servers=0"}}, {4, {"cluster.servers=1"}}, {4, {"cluster.servers=2"}}});
}

TEST_F(Digest, IsTheSameUnderOtherOptimizersLossesAndASchedule) {
  ExpectSameBits(
      {"tables[video_id].optimizer.momentum.lr=0.05", "tables[author_id].optimizer.rmsprop.lr=0.01",
       "tables[tag].optimizer.ftrl={ lr: 0.05 l1: 0.0001 l2: 0.1 }", "loss.focal.gamma=1",
       "loss.label_smoothing=0.1", "model.din.pooling=SQRTN",
       "optimizer.schedule={ warmup_steps: 5 cosine { floor: 0.05 } }"},
      {{2, {}}, {3, {"cluster.servers=1"}}});
}

TEST_F(Digest, IsTheSameInTimeOrder) {
  ExpectSameBits({"data.order=TIME"}, {{3, {}}, {4, {"cluster.servers=1"}}});
}

TEST_F(Digest, DependsOnTheSeed) {
  const JobResult a = Train(1, false, {"train.seed=3"});
  const JobResult b = Train(1, false, {"train.seed=4"});
  EXPECT_NE(a.digest, b.digest);
}

}  // namespace
}  // namespace trestle
