// Metrics against brute force over all pairs, and the same bits at any partition over ranks.
#include "worker/metrics.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "comm/thread_communicator.h"
#include "worker/metrics_auc.h"

namespace trestle {
namespace {

struct Sample {
  std::vector<float> logits, labels;
  std::vector<uint64_t> groups;
};

// Few distinct logits give ties; group 0 has only one label.
Sample Draw(size_t rows, int distinct, unsigned seed) {
  std::mt19937 random(seed);
  Sample sample;
  for (size_t i = 0; i < rows; ++i) {
    const auto step = static_cast<float>(random() % static_cast<unsigned>(distinct));
    const float z = step / static_cast<float>(distinct) * 6 - 3;
    const uint64_t group = random() % 9;
    sample.logits.push_back(z);
    sample.labels.push_back(
        group == 0 ? 0.0f : static_cast<float>(static_cast<float>(random() % 100) < 30 + 8 * z));
    sample.groups.push_back(group * 0x123456789ABCDEFull);
  }
  return sample;
}

double BruteAuc(const std::vector<float>& logits, const std::vector<float>& labels) {
  double ordered = 0, pairs = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    for (size_t j = 0; j < logits.size(); ++j) {
      if (labels[i] != 1 || labels[j] != 0) continue;
      ++pairs;
      ordered += logits[i] > logits[j] ? 1 : logits[i] == logits[j] ? 0.5 : 0;
    }
  }
  return ordered / pairs;
}

double BruteGauc(const Sample& s, int64_t* rows) {
  std::map<uint64_t, Sample> groups;
  for (size_t i = 0; i < s.logits.size(); ++i) {
    groups[s.groups[i]].logits.push_back(s.logits[i]);
    groups[s.groups[i]].labels.push_back(s.labels[i]);
  }
  double sum = 0;
  *rows = 0;
  for (const auto& [key, group] : groups) {
    const double auc = BruteAuc(group.logits, group.labels);
    if (std::isnan(auc)) continue;
    sum += auc * static_cast<double>(group.logits.size());
    *rows += static_cast<int64_t>(group.logits.size());
  }
  return sum / static_cast<double>(*rows);
}

// Rows dealt round robin over the ranks in `takers`; all ranks' results, which must agree.
Metrics ComputeOver(const Sample& s, int ranks, std::vector<int> takers, bool grouped = true,
                    int64_t exact_rows = 1'000'000) {
  std::vector<Metrics> results(static_cast<size_t>(ranks));
  const Status status = RunThreadRanks(ranks, [&](Communicator& comm) -> Status {
    MetricsAccumulator metrics(grouped, exact_rows);
    for (size_t i = 0; i < s.logits.size(); ++i) {
      if (takers[i % takers.size()] != comm.rank().value) continue;
      metrics.Add({&s.logits[i], 1}, {&s.labels[i], 1}, {&s.groups[i], grouped ? size_t{1} : 0});
    }
    auto result = metrics.Compute(comm, Stream::kDense);
    if (result.ok()) results[static_cast<size_t>(comm.rank().value)] = *result;
    return result.status();
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  for (const Metrics& other : results) {
    EXPECT_EQ(other.rows, results[0].rows);
    EXPECT_TRUE(same(other.auc, results[0].auc));
    EXPECT_TRUE(same(other.gauc.value_or(-1), results[0].gauc.value_or(-1)));
    EXPECT_TRUE(same(other.log_loss, results[0].log_loss));
  }
  return results[0];
}

TEST(Metrics, AgreeWithBruteForce) {
  for (unsigned seed = 0; seed < 6; ++seed) {
    const Sample s = Draw(400, seed % 2 ? 5 : 1'000'000, seed);
    const Metrics m = ComputeOver(s, 1, {0});
    double loss = 0, predicted = 0, positives = 0;
    for (size_t i = 0; i < s.logits.size(); ++i) {
      const double p = 1 / (1 + std::exp(-static_cast<double>(s.logits[i])));
      loss -= std::log(s.labels[i] == 1 ? p : 1 - p);
      predicted += p;
      positives += static_cast<double>(s.labels[i]);
    }
    const double n = 400, q = positives / n;
    EXPECT_EQ(m.rows, 400);
    EXPECT_EQ(m.positives, static_cast<int64_t>(positives));
    EXPECT_NEAR(m.auc, BruteAuc(s.logits, s.labels), 1e-12) << "seed " << seed;
    EXPECT_EQ(m.auc, ExactAuc(s.logits, s.labels));
    EXPECT_EQ(m.auc_error, 0);
    int64_t gauc_rows = 0;
    EXPECT_NEAR(m.gauc.value(), BruteGauc(s, &gauc_rows), 1e-12);
    EXPECT_EQ(m.gauc_rows, gauc_rows);
    EXPECT_LT(gauc_rows, 400);
    EXPECT_NEAR(m.log_loss, loss / n, 1e-9);
    EXPECT_NEAR(m.normalized_entropy, loss / n / -(q * std::log(q) + (1 - q) * std::log(1 - q)),
                1e-9);
    EXPECT_NEAR(m.pcoc, predicted / positives, 1e-9);
  }
}

TEST(Metrics, AreTheSameAtAnyPartitionOverRanks) {
  const Sample s = Draw(20'000, 1'000'000, 17);
  const Metrics one = ComputeOver(s, 1, {0});
  for (const auto& [ranks, takers] : std::vector<std::pair<int, std::vector<int>>>{
           {2, {0, 1}}, {3, {0, 1, 2}}, {3, {2, 2, 1}}, {2, {1}}, {3, {1}}, {3, {0}}}) {
    const Metrics many = ComputeOver(s, ranks, takers);
    EXPECT_EQ(many.rows, one.rows);
    EXPECT_EQ(many.positives, one.positives);
    EXPECT_EQ(many.auc, one.auc);
    EXPECT_EQ(many.gauc, one.gauc);
    EXPECT_EQ(many.gauc_rows, one.gauc_rows);
    EXPECT_EQ(many.log_loss, one.log_loss);
    EXPECT_EQ(many.normalized_entropy, one.normalized_entropy);
    EXPECT_EQ(many.pcoc, one.pcoc);
  }
}

TEST(Metrics, BeyondExactRowsTheErrorBoundHolds) {
  for (const int distinct : {40, 1'000'000}) {
    const Sample s = Draw(5'000, distinct, 3);
    const double exact = ExactAuc(s.logits, s.labels);
    // 4,999: one row too many only for all ranks together. 10: each rank has its own histogram.
    const Metrics one = ComputeOver(s, 1, {0}, true, 4'999);
    EXPECT_GT(one.auc_error, 0);
    EXPECT_LE(std::fabs(one.auc - exact), one.auc_error);
    EXPECT_FALSE(one.gauc.has_value());
    for (const int64_t limit : {4'999, 2'000, 10}) {
      const Metrics many = ComputeOver(s, 3, {0, 2}, true, limit);
      EXPECT_EQ(many.auc, one.auc);
      EXPECT_EQ(many.auc_error, one.auc_error);
      EXPECT_EQ(many.log_loss, one.log_loss);
    }
    EXPECT_EQ(ComputeOver(s, 2, {0, 1}, true, 5'000).auc, exact);
  }
}

TEST(Metrics, OnlyTheMembersOfAStreamTakePart) {
  const Sample s = Draw(100, 1000, 1);
  const double expected = ComputeOver(s, 1, {0}).auc;
  const Status status = RunThreadRanks(3, [&](Communicator& comm) -> Status {
    TRESTLE_RETURN_IF_ERROR(comm.SetMembers(Stream::kDense, {Rank{1}, Rank{2}}));
    if (comm.rank() == Rank{0}) return {};
    MetricsAccumulator metrics(true);
    if (comm.rank() == Rank{2}) metrics.Add(s.logits, s.labels, s.groups);
    TRESTLE_ASSIGN_OR_RETURN(const Metrics m, metrics.Compute(comm, Stream::kDense));
    EXPECT_EQ(m.auc, expected);
    return {};
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST(Metrics, OneLabelOrNoRowsGiveNaN) {
  const Metrics negative = ComputeOver({{0, 1}, {0, 0}, {1, 1}}, 2, {0});
  EXPECT_TRUE(std::isnan(negative.auc));
  EXPECT_TRUE(std::isnan(negative.gauc.value()));
  EXPECT_EQ(negative.gauc_rows, 0);
  EXPECT_TRUE(std::isnan(negative.normalized_entropy));
  EXPECT_TRUE(std::isnan(negative.pcoc));
  EXPECT_NEAR(negative.log_loss, (std::log(2.0) + std::log1p(std::exp(1.0))) / 2, 1e-9);
  const Metrics nothing = ComputeOver({}, 2, {0});
  EXPECT_EQ(nothing.rows, 0);
  EXPECT_TRUE(std::isnan(nothing.log_loss));
  EXPECT_FALSE(ComputeOver({{0, 1}, {0, 1}, {1, 1}}, 2, {0}, false).gauc.has_value());
}

TEST(Metrics, ExtremeLogitsCountAndNaNIsAnErrorOnAllRanks) {
  const Metrics m = ComputeOver({{-3e38f, 3e38f}, {1, 0}, {1, 1}}, 1, {0});
  EXPECT_EQ(m.auc, 0);
  EXPECT_EQ(m.log_loss, 2047);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<Status> statuses(2);
    const Status worst = RunThreadRanks(2, [&](Communicator& comm) -> Status {
      MetricsAccumulator metrics(false);
      const std::vector<float> logits = {0, comm.rank().value == 1 ? bad : 0}, labels = {0, 1};
      metrics.Add(logits, labels, {});
      const Status status = metrics.Compute(comm, Stream::kDense).status();
      statuses[static_cast<size_t>(comm.rank().value)] = status;
      return {};
    });
    EXPECT_TRUE(worst.ok());
    for (const Status& status : statuses) {
      EXPECT_EQ(status.code(), StatusCode::kNumeric);
      EXPECT_THAT(status.ToString(), testing::HasSubstr("1 of 4 predictions are NaN or infinite"));
    }
  }
}

TEST(OrderedBits, FollowTheOrderOfFloats) {
  const std::vector<float> ascending = {-3e38f, -1, -1e-40f, 0, 1e-40f, 1, 1.0000001f, 3e38f};
  for (size_t i = 1; i < ascending.size(); ++i) {
    EXPECT_LT(OrderedBits(ascending[i - 1]), OrderedBits(ascending[i]));
  }
  EXPECT_EQ(OrderedBits(-0.0f), OrderedBits(0.0f));
}

// 5 * 10^9 rows of each label: twice the pairs pass 2^63, and even 2^64.
TEST(HistogramAuc, CountsMorePairsThan64BitsHold) {
  constexpr int64_t kMany = 5'000'000'000;
  std::vector<int64_t> histogram(2 * size_t{kAucBins});
  const auto low = static_cast<size_t>(AucBin(-1)), high = static_cast<size_t>(AucBin(1));
  histogram[low] = kMany;
  histogram[kAucBins + high] = kMany;
  double error = -1;
  EXPECT_EQ(HistogramAuc(histogram, &error), 1);
  EXPECT_EQ(error, 0);
  histogram[kAucBins + low] = kMany;  // half of the positives tie with all negatives
  EXPECT_EQ(HistogramAuc(histogram, &error), 0.75);
  EXPECT_EQ(error, 0.25);
}

TEST(ExactAuc, LargeInputsAreSortedLikeSmallOnes) {
  const Sample s = Draw(9'000, 300, 8);
  EXPECT_NEAR(ExactAuc(s.logits, s.labels), BruteAuc(s.logits, s.labels), 1e-12);
}

}  // namespace
}  // namespace trestle
