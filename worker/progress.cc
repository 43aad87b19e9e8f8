#include "worker/progress.h"

#include <glog/logging.h>
#include <unistd.h>

#include <cmath>
#include <utility>

#include "worker/metrics.h"

namespace trestle {
namespace {

constexpr double kLiveInterval_s = 0.1;
constexpr double kLogInterval_s = 5;  // lines of metrics.jsonl from a live terminal

template <class... Args>
std::string Format(const char* format, Args... args) {
  char text[256];
  std::snprintf(text, sizeof(text), format, args...);
  return text;
}

}  // namespace

int64_t ResidentMiB() {
  long total = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (!file) return 0;
  const int read = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * (sysconf(_SC_PAGESIZE) / 1024) / 1024 : 0;
}

std::string FormatDuration(double seconds) {
  const auto s = static_cast<int64_t>(std::ceil(seconds));
  if (s >= 3600) return Format("%ldh%02ldm", s / 3600, s % 3600 / 60);
  if (s >= 60) return Format("%ldm%02lds", s / 60, s % 60);
  return Format("%lds", s);
}

Progress::Progress(Options options, const Clock& clock, RunLog& log)
    : options_(options), clock_(clock), log_(log) {}

void Progress::BeginPass(const std::string& name, int64_t steps) {
  pass_ = name;
  pass_steps_ = steps;
  pass_done_ = 0;
  pass_start_ = last_report_ = clock_.Now();
  window_ = {};
  logits_.clear();
  labels_.clear();
}

void Progress::AddPredictions(const float* logits, const float* labels, int64_t rows) {
  if (logits_.size() + static_cast<size_t>(rows) > 2 * kAucRows) {
    logits_.erase(logits_.begin(), logits_.end() - static_cast<int64_t>(kAucRows));
    labels_.erase(labels_.begin(), labels_.end() - static_cast<int64_t>(kAucRows));
  }
  logits_.insert(logits_.end(), logits, logits + rows);
  labels_.insert(labels_.end(), labels, labels + rows);
}

void Progress::Step(int64_t step, int64_t rows, double loss_sum) {
  ++pass_done_;
  window_.rows += rows;
  window_.loss_sum += loss_sum;
  const double elapsed_s = Seconds(clock_.Now() - last_report_);
  const bool last = pass_done_ == pass_steps_;
  if (options_.live && options_.out && !last && elapsed_s >= kLiveInterval_s &&
      elapsed_s < kLogInterval_s) {
    if (pass_done_ % 8 == 0) {
      Print(Line(step, static_cast<double>(window_.rows) / elapsed_s,
                 window_.loss_sum / static_cast<double>(window_.rows), NAN));
    }
    return;
  }
  if (!last && elapsed_s < (options_.live ? kLogInterval_s : options_.interval_s)) return;
  Report(step, elapsed_s);
}

void Progress::Report(int64_t step, double elapsed_s) {
  const double rows_per_s = static_cast<double>(window_.rows) / std::max(elapsed_s, 1e-9);
  const double loss = window_.rows ? window_.loss_sum / static_cast<double>(window_.rows) : NAN;
  const double auc = ExactAuc(logits_, labels_);
  if (options_.out) Print(Line(step, rows_per_s, loss, auc));
  Log("train", {{"pass", pass_},
                {"step", step},
                {"rows", window_.rows},
                {"rows_per_s", rows_per_s},
                {"loss", loss},
                {"window_auc", auc},
                {"memory_mib", ResidentMiB()}});
  window_ = {};
  last_report_ = clock_.Now();
  logits_.clear();
  labels_.clear();
}

std::string Progress::Line(int64_t step, double rows_per_s, double loss, double auc) const {
  const double pass_s = Seconds(clock_.Now() - pass_start_);
  const double left_s =
      pass_s / static_cast<double>(pass_done_) * static_cast<double>(pass_steps_ - pass_done_);
  std::string line = Format("%s  step %ld (%ld/%ld)  %.0f rows/s  loss %.4f", pass_.c_str(), step,
                            pass_done_, pass_steps_, rows_per_s, loss);
  if (!std::isnan(auc)) line += Format("  auc %.4f", auc);
  line += Format("  %ld MiB  %s left", ResidentMiB(), FormatDuration(left_s).c_str());
  return line;
}

void Progress::Print(const std::string& line) {
  if (options_.live) {
    std::fprintf(options_.out, "\r\033[K%s", line.c_str());
    line_open_ = true;
  } else {
    std::fprintf(options_.out, "%s\n", line.c_str());
  }
  std::fflush(options_.out);
}

void Progress::EndPass() {
  if (line_open_) std::fprintf(options_.out, "\n");
  line_open_ = false;
}

void Progress::Log(const std::string& event, const RunLog::Fields& fields) {
  const Status written = log_.Write(event, fields);
  if (written.ok() || std::exchange(log_failed_, true)) return;
  LOG(ERROR) << written.ToString();
  Say("warning: metrics.jsonl is no longer written: " + written.ToString());
}

void Progress::Say(const std::string& line) {
  if (!options_.out) return;
  if (line_open_) std::fprintf(options_.out, "\r\033[K");
  line_open_ = false;
  std::fprintf(options_.out, "%s\n", line.c_str());
  std::fflush(options_.out);
}

}  // namespace trestle
