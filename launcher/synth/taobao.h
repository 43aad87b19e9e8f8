// `trestle synth taobao`: writes the planted shop (taobao_model.h) as the four files that Alibaba
// publishes, with their columns and spelling, and apart from them the true probabilities.
//
//   DIR/raw_sample.csv     user,time_stamp,adgroup_id,pid,nonclk,clk
//   DIR/ad_feature.csv     adgroup_id,cate_id,campaign_id,customer,brand,price   (no brand: NULL)
//   DIR/user_profile.csv   userid,cms_segid,...,new_user_class_level             (empty cells)
//   DIR/behavior_log.csv   user,time_stamp,btag,cate,brand
//   DIR/oracle.csv         line for line what raw_sample.csv's rows were drawn with; no feature
//
// Made in parallel piece by piece and written in order: the same bytes at any number of threads,
// and memory that does not grow with the rows.
//
// Thread safety: one thread. Collective: no.
// Errors: kIoError with the file and the system's reason; kInvalidConfig for settings out of range.
#pragma once

#include <cstdint>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "launcher/synth/taobao_model.h"

namespace trestle {

struct TaobaoReport {
  int64_t rows = 0;
  int64_t test_rows = 0;  // of the eighth day
  int64_t clicks = 0;
  int64_t users = 0;
  int64_t ads = 0;
  int64_t behaviours = 0;
  double best_auc = 0;         // of the true logits on the test rows; NaN without both labels
  double best_auc_error = 0;   // bound
  int64_t replaced_files = 0;  // files of an earlier call that were removed
};

// Makes the folder. Files appear when all are complete.
Result<TaobaoReport> WriteTaobao(FileSystem& fs, const TaobaoSettings& settings,
                                 const std::string& folder, ThreadPool& pool);

// What the command prints.
[[nodiscard]] std::string TaobaoReportText(const TaobaoReport& report, const std::string& folder);

}  // namespace trestle
