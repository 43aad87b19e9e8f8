// What is said of evaluations: lines and tables for people, fields for metrics.jsonl; and what of
// them training is judged by.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "ps/checkpoint/manifest.pb.h"
#include "worker/run_log.h"
#include "worker/train.pb.h"
#include "worker/trainer.h"

namespace trestle {

std::string MetricLine(const std::string& set, const Evaluation& evaluation);
RunLog::Fields MetricFields(const Evaluation& evaluation);

// A table of the first kShownSlices slices, a line each; the others are in metrics.jsonl.
inline constexpr size_t kShownSlices = 20;
std::vector<std::string> SliceLines(const std::string& set, const SlicedColumn& column);
RunLog::Fields SliceFields(const Slice& slice);

// NaN for a GAUC that no group has.
double MonitoredValue(Eval::Metric metric, const Metrics& metrics);
// "AUC of test"
std::string MonitoredName(Eval::Metric metric, const std::string& set);
// kInvalidConfig if a set of so many rows has no such metric.
Status CheckMonitored(Eval::Metric metric, const std::string& set, int64_t rows);

// "step 40, AUC of test 0.7123 (2 evaluations since)"
std::string BestText(const EvaluationRecord& record);
// Behind it: ": step-00000040.1", or that another was saved instead; empty if none was. Since the
// best one's checkpoint may have failed.
std::string BestSavedText(const EvaluationRecord& record);

}  // namespace trestle
