#include "launcher/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "launcher/checkpoint/text.h"
#include "launcher/format.h"
#include "ps/checkpoint/checkpoint_folder.h"

namespace trestle {
namespace {

std::string Number(double x) { return std::isnan(x) ? "-" : Format("%.4f", x); }

// In a line of a table: without control characters, and cut where it is long.
std::string ShownValue(const std::string& value) {
  constexpr size_t kShownBytes = 40;
  size_t end = std::min(value.size(), kShownBytes);
  const auto continues = [&](size_t at) {
    return at < value.size() && (static_cast<unsigned char>(value[at]) & 0xC0) == 0x80;
  };
  while (end > 0 && continues(end)) --end;  // between two characters of UTF-8
  std::string shown;
  for (const char c : value.substr(0, end)) {
    if (c == '\n') {
      shown += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ' || c == 127) {
      shown += Format("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      shown += c;
    }
  }
  return end < value.size() ? shown + "..." : shown;
}

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
                    100 * evaluation.pass.unseen_share());
}

RunLog::Fields MetricFields(const Evaluation& evaluation) {
  const Metrics& m = evaluation.metrics;
  RunLog::Fields fields = {{"rows", m.rows}, {"auc", m.auc}};
  if (m.gauc) fields.emplace_back("gauc", *m.gauc);
  fields.insert(fields.end(), {{"log_loss", m.log_loss},
                               {"normalized_entropy", m.normalized_entropy},
                               {"pcoc", m.pcoc},
                               {"unseen_share", evaluation.pass.unseen_share()}});
  return fields;
}

std::vector<std::string> SliceLines(const std::string& set, const SlicedColumn& column) {
  const std::string head = set + " by " + column.column;
  if (column.too_many) {
    return {head + ": not sliced: more than " + CountText(static_cast<int64_t>(kMaxSliceValues)) +
            " values, or one above " + CountText(static_cast<int64_t>(kMaxSliceText)) + " bytes"};
  }
  TextTable table("lrrrrr", {head, "rows", "positives", "auc", "log loss", "predicted/observed"});
  const size_t shown = std::min(column.slices.size(), kShownSlices);
  int64_t values = column.other_values, rows = column.other_rows;
  for (size_t i = 0; i < column.slices.size(); ++i) {
    const Slice& s = column.slices[i];
    if (i < shown) {
      table.Add({ShownValue(s.value), CountText(s.rows), CountText(s.positives), Number(s.auc),
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
  const std::string logged =
      column.other_values > 0 ? "the first " + CountText(static_cast<int64_t>(kMaxSlices)) : "all";
  lines.push_back("  and " + CountText(values, "more value") + ", " + CountText(rows, "row") +
                  " of them; metrics.jsonl has " + logged + " values");
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

std::string BestSavedText(const EvaluationRecord& record) {
  CheckpointName name;
  if (!CheckpointName::Parse(record.checkpoint(), &name)) return "";
  const bool saved = name.step == record.best_step();
  return (saved ? ": " : ", not saved; the best saved is ") + record.checkpoint();
}

}  // namespace trestle
