#include "launcher/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "launcher/checkpoint/text.h"
#include "launcher/format.h"

namespace trestle {
namespace {

std::string Number(double x) { return std::isnan(x) ? "-" : Format("%.4f", x); }

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

std::string MetricLine(const std::string& set, const Evaluation& evaluation) {
  const Metrics& m = evaluation.metrics;
  std::string line = set + Format("  auc %.4f", m.auc);
  if (m.gauc) line += Format("  gauc %.4f", *m.gauc);
  return line + Format(
                    "  log loss %.4f  normalized entropy %.4f  predicted/observed %.4f"
                    "  (%ld rows, %.1f %% of ids unseen)",
                    m.log_loss, m.normalized_entropy, m.pcoc, m.rows,
                    100 * evaluation.unseen_share);
}

RunLog::Fields MetricFields(const Evaluation& evaluation) {
  const Metrics& m = evaluation.metrics;
  RunLog::Fields fields = {{"rows", m.rows}, {"auc", m.auc}};
  if (m.gauc) fields.emplace_back("gauc", *m.gauc);
  fields.insert(fields.end(), {{"log_loss", m.log_loss},
                               {"normalized_entropy", m.normalized_entropy},
                               {"pcoc", m.pcoc},
                               {"unseen_share", evaluation.unseen_share}});
  return fields;
}

std::vector<std::string> SliceLines(const std::string& set, const SlicedColumn& column) {
  const std::string head = set + " by " + column.column;
  if (column.too_many) {
    return {head + ": more than " + CountText(static_cast<int64_t>(kMaxSliceValues)) +
            " values, too many for slices"};
  }
  TextTable table("lrrrrr", {head, "rows", "positives", "auc", "log loss", "predicted/observed"});
  const size_t shown = std::min(column.slices.size(), kShownSlices);
  int64_t values = column.other_values, rows = column.other_rows;
  for (size_t i = 0; i < column.slices.size(); ++i) {
    const Slice& s = column.slices[i];
    if (i < shown) {
      table.Add({s.value, CountText(s.rows), CountText(s.positives), Number(s.auc),
                 Number(s.log_loss), Number(s.pcoc)});
    } else {
      ++values;
      rows += s.rows;
    }
  }
  std::ostringstream text;
  table.Print(text, "  ");
  std::vector<std::string> lines = Lines(text.str());
  if (values == 0) return lines;
  lines.push_back("  and " + CountText(values, "more value") + ", " + CountText(rows, "row") +
                  " of them; metrics.jsonl has the first " +
                  CountText(static_cast<int64_t>(kMaxSlices)) + " values");
  return lines;
}

RunLog::Fields SliceFields(const Slice& slice) {
  return {{"value", slice.value}, {"rows", slice.rows},         {"positives", slice.positives},
          {"auc", slice.auc},     {"log_loss", slice.log_loss}, {"pcoc", slice.pcoc}};
}

double MonitoredValue(Eval::Metric metric, const Metrics& metrics) {
  switch (metric) {
    case Eval::GAUC:
      return metrics.gauc.value_or(std::numeric_limits<double>::quiet_NaN());
    case Eval::LOG_LOSS:
      return metrics.log_loss;
    default:
      return metrics.auc;
  }
}

std::string MonitoredName(Eval::Metric metric, const std::string& set) {
  return Eval::Metric_Name(metric) + " of " + set;
}

Status CheckMonitored(Eval::Metric metric, const std::string& set, int64_t rows) {
  if (metric != Eval::GAUC || rows <= kMostExactRows) return {};
  return {StatusCode::kInvalidConfig, "eval.monitor: there is no GAUC of more than " +
                                          CountText(kMostExactRows) + " rows, and " + set +
                                          " has " + CountText(rows) +
                                          "; take AUC, or put a smaller set first"};
}

std::string BestText(const EvaluationRecord& record) {
  return Format("step %ld, %s %.6f (%ld %s since)", static_cast<long>(record.best_step()),
                record.metric().c_str(), record.best_value(),
                static_cast<long>(record.since_best()),
                record.since_best() == 1 ? "evaluation" : "evaluations");
}

}  // namespace trestle
