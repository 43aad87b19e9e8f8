// `trestle synth plant`: writes the planted data (plant_model.h) as Parquet.
//
//   DIR/plant_train-00000-of-00004.parquet ...   the first 90 % of the rows
//   DIR/plant_test.parquet                       the rest
//   DIR/plant_oracle.parquet                     split, row in it, true probability; never a
//   feature
//
// Columns user, item, cate (int64 ids from 1), hist_item, hist_cate (lists, oldest first), click
// (int8). Row groups of 4,096 rows, zstd. Rows are made in parallel a few row groups at a time and
// written in order: the same bytes at any number of threads, and memory that does not grow with the
// rows.
//
// Thread safety: one thread. Collective: no.
// Errors: kIoError with the file and the system's reason; kInvalidConfig for settings out of range.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/thread_pool.h"
#include "launcher/synth/plant_model.h"

namespace trestle {

struct PlantReport {
  int64_t train_rows = 0;
  int64_t test_rows = 0;
  double click_rate = 0;       // of all rows
  double mean_history = 0;     // of all rows
  double best_auc = 0;         // of the true logits on the test rows; NaN without both labels
  int64_t best_auc_rows = 0;   // test rows that best_auc is of: the first kPlantMaxAucRows
  int64_t replaced_files = 0;  // files of an earlier call that were removed
};

// AUC needs its rows in memory: 8 bytes each.
inline constexpr int64_t kPlantMaxAucRows = 20'000'000;

// Makes the folder. Files appear when all are complete; those of an earlier call, of any number of
// rows, are removed just before.
Result<PlantReport> WritePlant(const PlantSettings& settings, const std::string& folder,
                               ThreadPool& pool);

// What the command prints: rows, files, click rate, mean history, best possible AUC, what was
// replaced.
[[nodiscard]] std::string PlantReportText(const PlantReport& report, const std::string& folder);

}  // namespace trestle
