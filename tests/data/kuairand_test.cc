// What prepare/kuairand.sql makes of the logs, against a slow and obvious recomputation from the
// logs.
#include <arrow/api.h>
#include <arrow/csv/api.h>
#include <arrow/io/api.h>
#include <arrow/util/compression.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace trestle {
namespace {

using TablePointer = std::shared_ptr<arrow::Table>;

constexpr std::array<const char*, 3> kParts = {"train", "val", "test"};
constexpr std::array<int64_t, 3> kRows = {817'187, 94'784, 133'545};
constexpr int64_t kHistory = 50;

std::string SourcePath(const std::string& path) {
  return std::string(TRESTLE_SOURCE_DIR) + "/" + path;
}

template <class T>
T Must(arrow::Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return std::move(result).MoveValueUnsafe();
}

std::unique_ptr<parquet::arrow::FileReader> OpenParquet(const std::string& part) {
  auto file = Must(arrow::io::ReadableFile::Open(SourcePath("data/kuairand/" + part + ".parquet")));
  return Must(parquet::arrow::OpenFile(file, arrow::default_memory_pool()));
}

TablePointer ReadParquet(const std::string& part) {
  const TablePointer table = Must(OpenParquet(part)->ReadTable());
  return Must(table->CombineChunks());
}

TablePointer ReadLog(const std::string& name) {
  auto file =
      Must(arrow::io::ReadableFile::Open(SourcePath("data/kuairand_pure/" + name + ".csv.gz")));
  auto codec = Must(arrow::util::Codec::Create(arrow::Compression::GZIP));
  auto text = Must(arrow::io::CompressedInputStream::Make(codec.get(), file));
  auto reader = Must(arrow::csv::TableReader::Make(
      arrow::io::default_io_context(), text, arrow::csv::ReadOptions::Defaults(),
      arrow::csv::ParseOptions::Defaults(), arrow::csv::ConvertOptions::Defaults()));
  return Must(Must(reader->Read())->CombineChunks());
}

// An integer column as a vector.
std::vector<int64_t> Integers(const arrow::Array& array) {
  std::vector<int64_t> values(static_cast<size_t>(array.length()));
  for (int64_t i = 0; i < array.length(); ++i) {
    const auto scalar = Must(array.GetScalar(i));
    values[static_cast<size_t>(i)] =
        static_cast<const arrow::Int64Scalar&>(*Must(scalar->CastTo(arrow::int64()))).value;
  }
  return values;
}

const arrow::Array& Column(const arrow::Table& table, const std::string& name) {
  return *table.GetColumnByName(name)->chunk(0);
}
std::vector<int64_t> Integers(const arrow::Table& table, const std::string& name) {
  const arrow::Array& column = Column(table, name);
  if (column.type_id() == arrow::Type::INT64) {
    const auto& typed = static_cast<const arrow::Int64Array&>(column);
    return {typed.raw_values(), typed.raw_values() + typed.length()};
  }
  return Integers(column);
}

struct Exposure {
  int part;
  int64_t time;
  int64_t video;
  int64_t long_view;
};

// One row as the logs or the prepared files tell it; a user's rows are compared as a sorted list.
struct Sample {
  int64_t video;
  int64_t long_view;
  std::vector<int64_t> history;
  friend auto operator<=>(const Sample&, const Sample&) = default;
};

bool IsSampled(int64_t user) { return user % 37 == 5; }  // some 700 users

// All exposures of the sampled users, in the order of the logs.
std::map<int64_t, std::vector<Exposure>> ReadSampledUsers() {
  std::map<int64_t, std::vector<Exposure>> users;
  for (int part = 0; part < 3; ++part) {
    const TablePointer log = ReadLog(kParts[part]);
    const auto user = Integers(*log, "user_id"), video = Integers(*log, "video_id"),
               label = Integers(*log, "long_view"),
               time = Integers(*log, part == 0 ? "pos" : "time_ms");
    for (size_t i = 0; i < user.size(); ++i) {
      if (IsSampled(user[i])) users[user[i]].push_back({part, time[i], video[i], label[i]});
    }
  }
  return users;
}

// For each exposure anew: the long views strictly before it, in order of time, the last 50.
std::vector<Sample> NaiveSamples(const std::vector<Exposure>& exposures, int part) {
  const auto when = [](const Exposure& e) { return std::tuple(e.part, e.time); };
  std::vector<Sample> samples;
  for (const Exposure& row : exposures) {
    if (row.part != part) continue;
    std::vector<Exposure> before;
    for (const Exposure& other : exposures) {
      if (other.long_view == 1 && when(other) < when(row)) before.push_back(other);
    }
    std::stable_sort(before.begin(), before.end(),
                     [&](const Exposure& a, const Exposure& b) { return when(a) < when(b); });
    Sample sample{row.video, row.long_view, {}};
    for (size_t i = before.size() > kHistory ? before.size() - kHistory : 0; i < before.size();
         ++i) {
      sample.history.push_back(before[i].video);
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

class KuaiRand : public ::testing::TestWithParam<int> {
 protected:
  std::string part() const { return kParts[GetParam()]; }
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::exists(SourcePath("data/kuairand/" + part() + ".parquet")))
        << "run scripts/prepare-kuairand";
  }
};

TEST_P(KuaiRand, HasEveryExposureInBlocksOf4096Rows) {
  const auto metadata = OpenParquet(part())->parquet_reader()->metadata();
  EXPECT_EQ(metadata->num_rows(), kRows[GetParam()]);
  for (int group = 0; group + 1 < metadata->num_row_groups(); ++group) {
    ASSERT_EQ(metadata->RowGroup(group)->num_rows(), 4096) << group;
  }
}

TEST_P(KuaiRand, HasNoMissingCells) {
  const TablePointer table = ReadParquet(part());
  EXPECT_EQ(table->num_columns(), 31 + 8 + 3 + 1);  // user, video, history, label
  for (const std::string& name : table->ColumnNames()) {
    EXPECT_EQ(table->GetColumnByName(name)->null_count(), 0) << name;
  }
  for (const int64_t label : Integers(*table, "long_view")) ASSERT_TRUE(label == 0 || label == 1);
}

TEST_P(KuaiRand, HistoriesAreThoseOfANaiveRecomputation) {
  const TablePointer table = ReadParquet(part());
  const auto& lists = static_cast<const arrow::ListArray&>(Column(*table, "hist_video"));
  const auto& items = static_cast<const arrow::Int64Array&>(*lists.values());
  const auto user = Integers(*table, "user_id"), video = Integers(*table, "video_id"),
             label = Integers(*table, "long_view");
  std::map<int64_t, std::vector<Sample>> prepared;
  for (size_t i = 0; i < user.size(); ++i) {
    if (!IsSampled(user[i])) continue;
    const auto row = static_cast<int64_t>(i);
    const int64_t* begin = items.raw_values() + lists.value_offset(row);
    prepared[user[i]].push_back({video[i], label[i], {begin, begin + lists.value_length(row)}});
  }
  size_t checked = 0;
  for (const auto& [id, exposures] : ReadSampledUsers()) {
    std::vector<Sample> expected = NaiveSamples(exposures, GetParam()), found = prepared[id];
    std::sort(expected.begin(), expected.end());
    std::sort(found.begin(), found.end());
    ASSERT_TRUE(expected == found) << "user " << id;
    checked += found.size();
  }
  EXPECT_GT(checked, 2000u);
}

TEST_P(KuaiRand, HistoryColumnsGoInStepAndDescribeTheSameVideos) {
  const TablePointer items = ReadLog("items"), table = ReadParquet(part());
  std::map<int64_t, int64_t> author_of;
  const auto video = Integers(*items, "video_id"), author = Integers(*items, "author_id");
  for (size_t i = 0; i < video.size(); ++i) author_of[video[i]] = author[i];

  const auto list = [&](const char* name) -> const arrow::ListArray& {
    return static_cast<const arrow::ListArray&>(Column(*table, name));
  };
  const arrow::ListArray &videos = list("hist_video"), &authors = list("hist_author"),
                         &tags = list("hist_tag");
  ASSERT_TRUE(videos.offsets()->Equals(authors.offsets()));
  ASSERT_TRUE(videos.offsets()->Equals(tags.offsets()));
  for (int64_t row = 0; row < videos.length(); ++row) ASSERT_LE(videos.value_length(row), kHistory);
  const auto& seen = static_cast<const arrow::Int64Array&>(*videos.values());
  const auto& by = static_cast<const arrow::Int64Array&>(*authors.values());
  ASSERT_EQ(seen.null_count() + by.null_count() + tags.values()->null_count(), 0);
  for (int64_t i = 0; i < seen.length(); ++i) ASSERT_EQ(by.Value(i), author_of.at(seen.Value(i)));
}

INSTANTIATE_TEST_SUITE_P(Parts, KuaiRand, ::testing::Values(0, 1, 2),
                         [](const auto& part) { return std::string(kParts[part.param]); });

}  // namespace
}  // namespace trestle
