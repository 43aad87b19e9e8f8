// Slices against metrics of the rows that have the value, taken by themselves; the same bits at any
// partition over ranks; and the bounds.
#include "worker/slice_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "comm/thread_communicator.h"
#include "tests/worker/input_fixture.h"

namespace trestle {
namespace {

constexpr unsigned kSeed = 20260907;

struct Sample {
  std::vector<float> logits, labels;
  std::vector<std::vector<std::string>> values;  // [columns][rows]
};

// Two columns: few values of many rows, one of them with a single label; and many of few.
Sample Draw(size_t rows) {
  std::mt19937 random(kSeed);
  Sample sample;
  sample.values.resize(2);
  for (size_t i = 0; i < rows; ++i) {
    const uint32_t level = random() % 7;
    const float z = static_cast<float>(random() % 40) / 10 - 2;
    sample.logits.push_back(z);
    sample.labels.push_back(level == 3 ? 0.0f : static_cast<float>(random() % 5 == 0));
    sample.values[0].push_back(level == 0 ? kMissingText : std::to_string(level * level));
    sample.values[1].push_back("user " + std::to_string(random() % (rows / 3)));
  }
  return sample;
}

void AddRows(const Sample& sample, size_t begin, size_t end, SliceAccumulator* slices) {
  std::vector<std::vector<std::string>> values;
  for (const auto& column : sample.values) {
    values.emplace_back(column.begin() + static_cast<ptrdiff_t>(begin),
                        column.begin() + static_cast<ptrdiff_t>(end));
  }
  slices->Add(std::span(sample.logits).subspan(begin, end - begin),
              std::span(sample.labels).subspan(begin, end - begin), values);
}

// On so many ranks; the last has fewer rows.
std::vector<SlicedColumn> Compute(const Sample& sample, int ranks, int64_t exact_rows = 1 << 30) {
  std::vector<SlicedColumn> result;
  const auto body = [&](Communicator& comm) -> Status {
    SliceAccumulator slices({"level", "user"}, exact_rows);
    const size_t rows = sample.logits.size();
    const auto first = [&](int r) {
      return std::min(rows, (rows / static_cast<size_t>(ranks) + 5) * static_cast<size_t>(r));
    };
    const int r = comm.rank().value;
    AddRows(sample, first(r), r + 1 == ranks ? rows : first(r + 1), &slices);
    TRESTLE_ASSIGN_OR_RETURN(auto computed, slices.Compute(comm, Stream::kDense));
    EXPECT_EQ(computed.empty(), r > 0);
    if (r == 0) result = std::move(computed);
    return {};
  };
  const Status ran = RunThreadRanks(ranks, body);
  EXPECT_TRUE(ran.ok()) << ran.ToString();
  return result;
}

// NaN equals NaN.
void ExpectSameNumber(double a, double b) {
  if (std::isnan(a) && std::isnan(b)) return;
  EXPECT_EQ(a, b);
}

TEST(SliceMetrics, AreThoseOfTheRowsWithTheValueAtAnyNumberOfRanks) {
  const Sample sample = Draw(4'000);
  for (const int ranks : {1, 2, 3}) {
    SCOPED_TRACE(ranks);
    const auto columns = Compute(sample, ranks);
    ASSERT_EQ(columns.size(), 2u);
    for (size_t c = 0; c < 2; ++c) {
      std::map<std::string, Sample> by_value;
      for (size_t i = 0; i < sample.logits.size(); ++i) {
        Sample& rows = by_value[sample.values[c][i]];
        rows.logits.push_back(sample.logits[i]);
        rows.labels.push_back(sample.labels[i]);
      }
      const SlicedColumn& column = columns[c];
      EXPECT_EQ(column.column, c == 0 ? "level" : "user");
      EXPECT_EQ(column.slices.size() + static_cast<size_t>(column.other_values), by_value.size());
      for (size_t s = 0; s < column.slices.size(); ++s) {
        const Slice& slice = column.slices[s];
        if (s > 0) {
          const Slice& before = column.slices[s - 1];
          EXPECT_TRUE(before.rows > slice.rows ||
                      (before.rows == slice.rows && before.value < slice.value));
        }
        const Sample& rows = by_value.at(slice.value);
        MetricsAccumulator naive(false);
        naive.Add(rows.logits, rows.labels, {});
        const auto alone = MakeThreadCommunicators(1, {});
        const Metrics metrics = naive.Compute(*alone.front(), Stream::kDense).value();
        EXPECT_EQ(slice.rows, metrics.rows);
        EXPECT_EQ(slice.positives, metrics.positives);
        ExpectSameNumber(slice.auc, metrics.auc);
        ExpectSameNumber(slice.log_loss, metrics.log_loss);
        ExpectSameNumber(slice.pcoc, metrics.pcoc);
      }
    }
  }
}

TEST(SliceMetrics, OfManyValuesTheMostFrequentAreToldAndTheOthersCounted) {
  const Sample sample = Draw(6'000);
  const SlicedColumn users = Compute(sample, 2)[1];
  EXPECT_EQ(users.slices.size(), kMaxSlices);
  EXPECT_GT(users.other_values, 0);
  int64_t rows = users.other_rows;
  for (const Slice& slice : users.slices) rows += slice.rows;
  EXPECT_EQ(rows, 6'000);
}

// All ranks together have one value too many, no rank has.
TEST(SliceMetrics, AColumnOfTooManyValuesIsNotSliced) {
  const size_t rows = kMaxSliceValues + 1;
  Sample sample;
  sample.values.resize(2);
  for (size_t i = 0; i < rows; ++i) {
    sample.logits.push_back(0);
    sample.labels.push_back(static_cast<float>(i % 2));
    sample.values[0].push_back(std::to_string(i % 3));
    sample.values[1].push_back(std::to_string(i));
  }
  for (const int ranks : {1, 3}) {
    const auto columns = Compute(sample, ranks);
    EXPECT_EQ(columns[0].slices.size(), 3u);
    EXPECT_TRUE(columns[1].too_many);
    EXPECT_TRUE(columns[1].slices.empty());
  }
  sample.values[1].back() = "0";
  EXPECT_FALSE(Compute(sample, 3)[1].too_many);
  sample.values[1].back() = std::string(kMaxSliceText + 1, 'x');
  EXPECT_TRUE(Compute(sample, 3)[1].too_many) << "a text that is too long";
}

TEST(SliceMetrics, BeyondExactRowsThereIsNoAuc) {
  const Sample sample = Draw(600);
  const auto exact = Compute(sample, 2, 600);
  for (const int ranks : {1, 3}) {
    const auto columns = Compute(sample, ranks, 599);
    for (size_t s = 0; s < columns[0].slices.size(); ++s) {
      EXPECT_TRUE(std::isnan(columns[0].slices[s].auc));
      EXPECT_EQ(columns[0].slices[s].log_loss, exact[0].slices[s].log_loss);
    }
  }
  EXPECT_FALSE(std::isnan(exact[0].slices[0].auc));
}

// Columns that are no features among them: integers, strings, booleans, missing cells.
TEST(SliceMetrics, CellsAreReadAsTexts) {
  TempDir dir{"slices"};
  WriteParquet(dir.Join("a.parquet"),
               {{"y", Int64s({1, 0, 1})},
                {"item", Int64s({5, -7, 5})},
                {"city", Values("string", R"(["Berlin", null, "Köln"])")},
                {"new", Values("bool", "[true, null, false]")},
                {"price", Doubles({1, 2, 3})}},
               2);
  Schema schema = SchemaOf(R"(label: "y")", R"(id { columns: "item" })");
  schema.slices = {"city", "item", "new"};
  const auto dataset = MustOpen(schema, {dir.Join("a.parquet")});
  PlanOptions plan;
  plan.order = TIME;
  plan.batch_rows = 8;
  plan.lanes = plan.end_lane = 1;
  const LaneRows rows = ReadAll(*dataset, plan).at(0).at(0);
  EXPECT_EQ(rows.slices[0], (std::vector<std::string>{"Berlin", kMissingText, "Köln"}));
  EXPECT_EQ(rows.slices[1], (std::vector<std::string>{"5", "-7", "5"}));
  EXPECT_EQ(rows.slices[2], (std::vector<std::string>{"true", kMissingText, "false"}));
  schema.slices = {"district", "price"};
  const Status status = Open(schema, {dir.Join("a.parquet")}).status();
  for (const char* problem :
       {"\"district\" is missing",
        "\"price\" is double; a column of eval.slices must hold integers, booleans or strings"}) {
    EXPECT_NE(status.ToString().find(problem), std::string::npos) << status.ToString();
  }
}

}  // namespace
}  // namespace trestle
