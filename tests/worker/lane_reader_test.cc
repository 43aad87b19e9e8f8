// The promises of the input, on random files: every row once, lanes that do not know how many
// workers there are, orders that follow the seed, resumes that continue, ledgers that add up.
#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "tests/worker/input_fixture.h"

namespace trestle {
namespace {

constexpr int64_t kRejectEvery = 13;  // rows whose label is 2

// Files of random sizes and blocks, both formats; column "id" numbers all rows.
class LaneReaders : public testing::Test {
 protected:
  void WriteFiles(std::mt19937& random, bool rejects) {
    const int files = 1 + static_cast<int>(random() % 4);
    for (int f = 0; f < files; ++f) {
      const auto rows = static_cast<int64_t>(random() % 120);
      const int64_t block = 1 + static_cast<int64_t>(random() % 40);
      const std::string path = dir_.Join("part-" + std::to_string(f));
      const std::vector<FileColumn> columns = Columns(rows, rejects);
      if (random() % 2) {
        WriteParquet(path, columns, block);
      } else {
        WriteIpc(path, columns, block);
      }
    }
    if (rows_ > 0) return;
    WriteParquet(dir_.Join("part-9"), Columns(5, rejects), 2);
  }

  std::vector<FileColumn> Columns(int64_t rows, bool rejects) {
    std::vector<int64_t> ids, labels;
    std::vector<double> numbers;
    std::vector<std::vector<int64_t>> lists;
    for (int64_t i = 0; i < rows; ++i, ++rows_) {
      ids.push_back(rows_);
      labels.push_back(rejects && rows_ % kRejectEvery == 5 ? 2 : rows_ % 2);
      numbers.push_back(static_cast<double>(rows_));
      lists.emplace_back(static_cast<size_t>(rows_ % 4), rows_);
    }
    return {{"y", Int64s(labels)},
            {"id", Int64s(ids)},
            {"h", Int64Lists(lists)},
            {"n", Doubles(numbers)}};
  }

  std::unique_ptr<Dataset> OpenAll() { return MustOpen(schema_, {dir_.Join("part-*")}); }

  // The rows that are read anywhere in [step][lane].
  static std::vector<uint64_t> AllIds(const std::vector<std::vector<LaneRows>>& steps) {
    std::vector<uint64_t> all;
    for (const auto& step : steps) {
      for (const LaneRows& lane : step) {
        for (const uint64_t id : Ids(lane.slots[0])) all.push_back(id);
      }
    }
    return all;
  }

  std::vector<uint64_t> ExpectedIds(bool rejects) const {
    std::vector<uint64_t> ids;
    for (int64_t i = 0; i < rows_; ++i) {
      if (!rejects || i % kRejectEvery != 5) ids.push_back(static_cast<uint64_t>(i));
    }
    return ids;
  }

  TempDir dir_;
  int64_t rows_ = 0;
  Schema schema_ = SchemaOf(R"(label: "y" group: "id")", R"(id { columns: "id" }
      sequence { columns: "h" keep_last: 2 }  numeric { columns: "n" })");
};

PlanOptions RandomPlan(std::mt19937& random, Order order) {
  PlanOptions plan =
      WholePlan(1 + static_cast<int64_t>(random() % 60), 1 + static_cast<int>(random() % 8), order);
  plan.seed = random();
  plan.epoch = static_cast<int64_t>(random() % 3);
  return plan;
}

// What `workers` workers read, put together as [step][lane].
std::vector<std::vector<LaneRows>> ReadWithWorkers(const Dataset& dataset, PlanOptions plan,
                                                   int workers, Ledger* total) {
  std::vector<std::vector<LaneRows>> steps;
  *total = {};
  for (int w = 0; w < workers; ++w) {
    plan.first_lane = plan.lanes * w / workers;
    plan.end_lane = plan.lanes * (w + 1) / workers;
    Ledger ledger;
    auto part = ReadAll(dataset, plan, &ledger);
    steps.resize(part.size());
    for (size_t s = 0; s < part.size(); ++s) {
      std::move(part[s].begin(), part[s].end(), std::back_inserter(steps[s]));
    }
    total->read += ledger.read;
    total->rejected += ledger.rejected;
    total->hash += ledger.hash;
  }
  return steps;
}

void ExpectSame(const std::vector<std::vector<LaneRows>>& a,
                const std::vector<std::vector<LaneRows>>& b, size_t skip = 0) {
  ASSERT_EQ(a.size(), b.size() + skip);
  for (size_t s = 0; s < b.size(); ++s) {
    ASSERT_EQ(a[s + skip].size(), b[s].size());
    for (size_t l = 0; l < b[s].size(); ++l) {
      ASSERT_TRUE(SameRows(a[s + skip][l], b[s][l])) << "step " << s + skip << ", lane " << l;
    }
  }
}

class LaneReaderSeeds : public LaneReaders, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, LaneReaderSeeds, testing::Range(0, 12));

TEST_P(LaneReaderSeeds, EveryRowIsReadOnceAtAnyNumberOfWorkers) {
  std::mt19937 random(static_cast<unsigned>(GetParam()));
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  const bool rejects = GetParam() % 2;
  WriteFiles(random, rejects);
  const auto dataset = OpenAll();
  ASSERT_EQ(dataset->rows(), rows_);
  for (const Order order : {SHUFFLE, TIME}) {
    const PlanOptions plan = RandomPlan(random, order);
    Ledger one;
    const auto whole = ReadWithWorkers(*dataset, plan, 1, &one);
    EXPECT_EQ(one.read, rows_);
    EXPECT_EQ(one.hash, dataset->ExpectedHash());
    std::vector<uint64_t> ids = AllIds(whole);
    if (order == TIME) {
      EXPECT_EQ(ids, ExpectedIds(rejects));
    }
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(ids, ExpectedIds(rejects));
    EXPECT_EQ(one.rejected, rows_ - static_cast<int64_t>(ids.size()));
    for (const int workers : {2, 3, 8}) {
      Ledger many;
      ExpectSame(whole, ReadWithWorkers(*dataset, plan, workers, &many));
      EXPECT_EQ(many.read, one.read);
      EXPECT_EQ(many.rejected, one.rejected);
      EXPECT_EQ(many.hash, one.hash);
    }
  }
}

TEST_P(LaneReaderSeeds, AResumeContinues) {
  std::mt19937 random(static_cast<unsigned>(GetParam()) + 100);
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  WriteFiles(random, true);
  const auto dataset = OpenAll();
  for (const Order order : {SHUFFLE, TIME}) {
    PlanOptions plan = RandomPlan(random, order);
    Ledger whole_ledger, rest_ledger;
    const auto whole = ReadAll(*dataset, plan, &whole_ledger);
    plan.first_step = static_cast<int64_t>(random() % (whole.size() + 1));
    ExpectSame(whole, ReadAll(*dataset, plan, &rest_ledger), static_cast<size_t>(plan.first_step));
    int64_t skipped = 0;
    for (size_t s = 0; s < static_cast<size_t>(plan.first_step); ++s) {
      for (const LaneRows& lane : whole[s]) skipped += lane.rows + lane.rejected;
    }
    EXPECT_EQ(rest_ledger.read + skipped, whole_ledger.read);
  }
}

TEST_F(LaneReaders, ColumnsOfARowStayTogether) {
  std::mt19937 random(5);
  WriteFiles(random, false);
  const auto dataset = OpenAll();
  for (const auto& step : ReadAll(*dataset, WholePlan(16, 3, SHUFFLE))) {
    for (const LaneRows& lane : step) {
      for (int64_t r = 0; r < lane.rows; ++r) {
        const auto row = static_cast<size_t>(r);
        const uint64_t id = lane.slots[0].keys[row].value;
        EXPECT_EQ(lane.labels[row], static_cast<float>(id % 2));
        EXPECT_EQ(lane.numeric[row], static_cast<float>(id));
        EXPECT_EQ(lane.groups[row], id);
        const int32_t begin = lane.slots[1].offsets[row], end = lane.slots[1].offsets[row + 1];
        EXPECT_EQ(end - begin, static_cast<int32_t>(std::min<uint64_t>(id % 4, 2)));
        for (int32_t i = begin; i < end; ++i) {
          EXPECT_EQ(lane.slots[1].keys[static_cast<size_t>(i)].value, id);
        }
      }
    }
  }
}

TEST_F(LaneReaders, EpochsDifferAndTheSameSeedRepeats) {
  WriteParquet(dir_.Join("part-0"), Columns(300, false), 50);
  const auto dataset = OpenAll();
  PlanOptions plan = WholePlan(32, 4, SHUFFLE);
  const auto first = AllIds(ReadAll(*dataset, plan));
  EXPECT_EQ(first, AllIds(ReadAll(*dataset, plan)));
  plan.epoch = 1;
  EXPECT_NE(first, AllIds(ReadAll(*dataset, plan)));
  plan.epoch = 0;
  plan.seed = 1;
  EXPECT_NE(first, AllIds(ReadAll(*dataset, plan)));
}

// With the same rows accepted, lanes of the clean file hold what the other's lanes hold plus the
// bad rows: nothing moves to another step or lane.
TEST_F(LaneReaders, ARejectedRowLeavesAHole) {
  WriteParquet(dir_.Join("part-0"), Columns(100, true), 30);
  const auto dirty = ReadAll(*OpenAll(), WholePlan(16, 2, SHUFFLE));
  rows_ = 0;
  WriteParquet(dir_.Join("part-0"), Columns(100, false), 30);
  const auto clean = ReadAll(*OpenAll(), WholePlan(16, 2, SHUFFLE));
  ASSERT_EQ(dirty.size(), clean.size());
  for (size_t s = 0; s < clean.size(); ++s) {
    for (size_t l = 0; l < 2; ++l) {
      std::vector<uint64_t> expected = Ids(clean[s][l].slots[0]);
      std::erase_if(expected, [](uint64_t id) { return id % kRejectEvery == 5; });
      EXPECT_EQ(Ids(dirty[s][l].slots[0]), expected);
      EXPECT_EQ(dirty[s][l].rows + dirty[s][l].rejected, clean[s][l].rows);
    }
  }
}

TEST_F(LaneReaders, TheRejectFileHoldsTheFirstThousand) {
  std::vector<int64_t> labels(2500, 3);
  WriteParquet(dir_.Join("part-0"),
               {{"y", Int64s(labels)},
                {"id", Int64s(labels)},
                {"h", Int64Lists(std::vector<std::vector<int64_t>>(2500))},
                {"n", Doubles(std::vector<double>(2500))}},
               700);
  PlanOptions plan = WholePlan(100, 4);
  plan.reject_path = dir_.Join("rejects");
  Ledger ledger;
  ReadAll(*OpenAll(), plan, &ledger);
  EXPECT_EQ(ledger.rejected, 2500);
  const std::string text = FileSystem::Local().Read(plan.reject_path).value();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1000);
}

TEST_F(LaneReaders, ARejectFileThatCannotBeWrittenIsAnError) {
  WriteParquet(dir_.Join("part-0"), Columns(100, true), 30);
  PlanOptions plan = WholePlan(100, 1);
  plan.reject_path = dir_.Join("no/such/folder/rejects");
  const auto dataset = OpenAll();
  auto reader = OpenLanes(*dataset, plan, FileSystem::Local());
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->Next().status().code(), StatusCode::kNotFound);
}

TEST_F(LaneReaders, BatchAndLanesMustBePositive) {
  WriteParquet(dir_.Join("part-0"), Columns(10, false), 30);
  const auto dataset = OpenAll();
  EXPECT_EQ(OpenLanes(*dataset, WholePlan(0, 1), FileSystem::Local()).status().code(),
            StatusCode::kInvalidConfig);
  EXPECT_EQ(OpenLanes(*dataset, WholePlan(1, 0), FileSystem::Local()).status().code(),
            StatusCode::kInvalidConfig);
}

}  // namespace
}  // namespace trestle
