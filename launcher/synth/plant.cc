#include "launcher/synth/plant.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

#include "base/filesystem.h"
#include "launcher/synth/output_folder.h"
#include "launcher/synth/plant_file.h"
#include "worker/metrics.h"

namespace trestle {
namespace {

// A training file has at most this many rows: several row groups, and files enough to glob.
constexpr int64_t kTrainFileRows = 64 * kPlantGroupRows;
// Row groups made at a time: what bounds the memory, and enough for the threads of a large machine.
constexpr int64_t kGroupsInMemory = 64;

Status CheckSettings(const PlantSettings& s) {
  const auto out_of_range = [](const char* flag, int64_t value, int64_t low, int64_t high) {
    return Status(StatusCode::kInvalidConfig,
                  std::string("synth plant: ") + flag + " " + std::to_string(value) +
                      " is out of range; allowed: " + std::to_string(low) + " to " +
                      std::to_string(high));
  };
  constexpr int64_t kMaxRows = 100'000'000'000, kMaxCategories = 10'000'000;
  if (s.rows < 10 || s.rows > kMaxRows) return out_of_range("--rows", s.rows, 10, kMaxRows);
  if (s.categories < 1 || s.categories > kMaxCategories) {
    return out_of_range("--categories", s.categories, 1, kMaxCategories);
  }
  if (s.interests < 1 || s.interests > kPlantMaxInterests) {
    return out_of_range("--interests", s.interests, 1, kPlantMaxInterests);
  }
  return Ok();
}

constexpr std::string_view kPlantTest = "plant_test.parquet", kPlantOracle = "plant_oracle.parquet";

std::string TrainName(int64_t index, int64_t count) {
  std::array<char, 64> name;
  std::snprintf(name.data(), name.size(), "plant_train-%05ld-of-%05ld.parquet",
                static_cast<long>(index), static_cast<long>(count));
  return name.data();
}

// Whether `name` is one that this file gives to a finished file.
bool IsPlantName(const std::string& name) {
  if (name == kPlantTest || name == kPlantOracle) return true;
  long index = 0, count = 0;
  return std::sscanf(name.c_str(), "plant_train-%ld-of-%ld.parquet", &index, &count) == 2 &&
         name == TrainName(index, count);
}

// Writes one split after the other and keeps the sums of the report.
class PlantWriter {
 public:
  PlantWriter(const PlantModel& model, PlantFile& oracle, ThreadPool& pool)
      : model_(model), oracle_(oracle), pool_(pool) {}

  // Rows [begin, end) of the model as the rows of `split` that start with number `first`.
  Status Write(std::string_view split, int64_t first, int64_t begin, int64_t end,
               const std::string& path) {
    TRESTLE_ASSIGN_OR_RETURN(const auto file, CreatePlantData(path));
    constexpr int64_t kStride = kGroupsInMemory * kPlantGroupRows;
    for (int64_t at = begin; at < end; at += kStride) {
      const std::vector<PlantRow>& rows = MakeRows(at, std::min(at + kStride, end));
      for (size_t i = 0; i < rows.size(); i += kPlantGroupRows) {
        const size_t count = std::min<size_t>(kPlantGroupRows, rows.size() - i);
        const PlantRows group{split, first + (at - begin) + static_cast<int64_t>(i),
                              std::span(rows).subspan(i, count)};
        TRESTLE_RETURN_IF_ERROR(file->Write(group));
        TRESTLE_RETURN_IF_ERROR(oracle_.Write(group));
      }
      Count(rows, split == "test");
    }
    return file->Close();
  }

  PlantReport Report(int64_t train_rows) const {
    PlantReport report;
    report.train_rows = train_rows;
    report.test_rows = rows_done_ - train_rows;
    report.click_rate = static_cast<double>(clicks_) / static_cast<double>(rows_done_);
    report.mean_history = static_cast<double>(history_) / static_cast<double>(rows_done_);
    report.best_auc = ExactAuc(logits_, labels_);
    report.best_auc_rows = static_cast<int64_t>(labels_.size());
    return report;
  }

 private:
  const std::vector<PlantRow>& MakeRows(int64_t begin, int64_t end) {
    rows_.resize(end - begin);
    const int64_t groups = (end - begin + kPlantGroupRows - 1) / kPlantGroupRows;
    pool_.ParallelFor(groups, [&](int64_t group, int) {
      const int64_t last = std::min((group + 1) * kPlantGroupRows, end - begin);
      for (int64_t i = group * kPlantGroupRows; i < last; ++i) rows_[i] = model_.Row(begin + i);
    });
    return rows_;
  }

  void Count(const std::vector<PlantRow>& rows, bool test) {
    rows_done_ += static_cast<int64_t>(rows.size());
    for (const PlantRow& row : rows) {
      clicks_ += row.click ? 1 : 0;
      history_ += row.history;
      if (!test || static_cast<int64_t>(labels_.size()) >= kPlantMaxAucRows) continue;
      logits_.push_back(row.z);
      labels_.push_back(row.click ? 1.0f : 0.0f);
    }
  }

  const PlantModel& model_;
  PlantFile& oracle_;
  ThreadPool& pool_;
  std::vector<PlantRow> rows_;
  int64_t rows_done_ = 0;
  int64_t clicks_ = 0;
  int64_t history_ = 0;
  std::vector<float> logits_;
  std::vector<float> labels_;
};

}  // namespace

Result<PlantReport> WritePlant(const PlantSettings& settings, const std::string& folder,
                               ThreadPool& pool) {
  TRESTLE_RETURN_IF_ERROR(CheckSettings(settings));
  OutputFolder files(FileSystem::Local(), folder, IsPlantName);
  TRESTLE_RETURN_IF_ERROR(files.Open());
  TRESTLE_ASSIGN_OR_RETURN(const auto oracle,
                           CreatePlantOracle(files.Add(std::string(kPlantOracle))));
  const PlantModel model(settings);
  PlantWriter writer(model, *oracle, pool);
  const int64_t train_rows = settings.rows / 10 * 9 + settings.rows % 10 * 9 / 10;
  const int64_t train_files = (train_rows + kTrainFileRows - 1) / kTrainFileRows;
  for (int64_t i = 0; i < train_files; ++i) {
    const int64_t begin = i * kTrainFileRows;
    TRESTLE_RETURN_IF_ERROR(writer.Write("train", begin, begin,
                                         std::min(begin + kTrainFileRows, train_rows),
                                         files.Add(TrainName(i, train_files))));
  }
  TRESTLE_RETURN_IF_ERROR(
      writer.Write("test", 0, train_rows, settings.rows, files.Add(std::string(kPlantTest))));
  TRESTLE_RETURN_IF_ERROR(oracle->Close());
  PlantReport report = writer.Report(train_rows);
  TRESTLE_ASSIGN_OR_RETURN(report.replaced_files, files.Finish());
  return report;
}

std::string PlantReportText(const PlantReport& report, const std::string& folder) {
  std::array<char, 512> text;
  std::snprintf(
      text.data(), text.size(),
      "%s: %ld training rows in plant_train-*.parquet, %ld test rows in "
      "plant_test.parquet\nclick rate %.4f, mean history %.2f items, best possible AUC on "
      "%ld test rows %.4f\n",
      folder.c_str(), static_cast<long>(report.train_rows), static_cast<long>(report.test_rows),
      report.click_rate, report.mean_history, static_cast<long>(report.best_auc_rows),
      report.best_auc);
  if (report.replaced_files == 0) return text.data();
  return text.data() + std::string("replaced ") + std::to_string(report.replaced_files) +
         " plant_* files of an earlier call\n";
}

}  // namespace trestle
