#include "worker/progress.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "worker/metrics.h"

namespace trestle {
namespace {

constexpr double kLiveInterval_s = 0.1;

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
  pass_start_ = window_start_ = last_drawn_ = clock_.Now();
  window_ = {};
  unreported_step_ = 0;
  auc_ = NAN;
  logits_.clear();
  labels_.clear();
}

void Progress::AddPredictions(const float* logits, const float* labels, int64_t rows) {
  const auto keep = static_cast<int64_t>(kAucRows);
  if (rows > keep) {  // the newest of a large lane
    logits += rows - keep;
    labels += rows - keep;
    rows = keep;
  }
  // Trimmed only at twice the size, so that a row is moved once.
  if (const auto held = static_cast<int64_t>(logits_.size()); held + rows > 2 * keep) {
    logits_.erase(logits_.begin(), logits_.end() - (keep - rows));
    labels_.erase(labels_.begin(), labels_.end() - (keep - rows));
  }
  logits_.insert(logits_.end(), logits, logits + rows);
  labels_.insert(labels_.end(), labels, labels + rows);
}

void Progress::Step(int64_t step, int64_t rows, double loss_sum, float lr_factor) {
  lr_factor_ = lr_factor;
  unreported_step_ = step;
  ++pass_done_;
  window_.rows += rows;
  window_.loss_sum += loss_sum;
  const Clock::Duration now = clock_.Now();
  if (pass_done_ == pass_steps_ || Seconds(now - window_start_) >= options_.interval_s) {
    Report(step, now);
  } else if (options_.live && Seconds(now - last_drawn_) >= kLiveInterval_s) {
    Print(Line(step, now));
  }
}

void Progress::EvaluationStep(int64_t rows) {
  ++pass_done_;
  window_.rows += rows;
  const Clock::Duration now = clock_.Now();
  const bool window_over = Seconds(now - window_start_) >= options_.interval_s;
  if (window_over || (options_.live && Seconds(now - last_drawn_) >= kLiveInterval_s)) {
    Print(Format("%s  step %ld/%ld  %.0f rows/s%s", pass_.c_str(), pass_done_, pass_steps_,
                 RowsPerSecond(now), MemoryAndTimeLeft(now).c_str()));
  }
  if (!window_over) return;
  window_ = {};
  window_start_ = now;
}

void Progress::TakeAuc() {
  const size_t newest = std::min(logits_.size(), kAucRows);
  auc_ = ExactAuc(std::span(logits_).last(newest), std::span(labels_).last(newest));
}

void Progress::Report(int64_t step, Clock::Duration now) {
  TakeAuc();
  Print(Line(step, now));
  LogWindow(step, now);
}

void Progress::LogWindow(int64_t step, Clock::Duration now) {
  Log("train", {{"pass", pass_},
                {"step", step},
                {"rows", window_.rows},
                {"rows_per_s", RowsPerSecond(now)},
                {"loss", Loss()},
                {"window_auc", auc_},
                {"lr_factor", double{lr_factor_}},
                {"memory_mib", ResidentMiB()}});
  unreported_step_ = 0;
  window_ = {};
  window_start_ = clock_.Now();
  logits_.clear();
  labels_.clear();
}

double Progress::RowsPerSecond(Clock::Duration now) const {
  return static_cast<double>(window_.rows) / std::max(Seconds(now - window_start_), 1e-9);
}

double Progress::Loss() const {
  return window_.rows ? window_.loss_sum / static_cast<double>(window_.rows) : NAN;
}

std::string Progress::Line(int64_t step, Clock::Duration now) const {
  std::string line = Format("%s  step %ld (%ld/%ld)  %.0f rows/s  loss %.4f", pass_.c_str(), step,
                            pass_done_, pass_steps_, RowsPerSecond(now), Loss());
  if (!std::isnan(auc_)) line += Format("  auc %.4f", auc_);
  return line + MemoryAndTimeLeft(now);
}

std::string Progress::MemoryAndTimeLeft(Clock::Duration now) const {
  const double left_s = Seconds(now - pass_start_) / static_cast<double>(pass_done_) *
                        static_cast<double>(pass_steps_ - pass_done_);
  return Format("  %ld MiB  %s left", ResidentMiB(), FormatDuration(left_s).c_str());
}

void Progress::Print(const std::string& line) {
  if (!options_.out) return;
  last_drawn_ = clock_.Now();
  std::fprintf(options_.out, options_.live ? "\r\033[K%s" : "%s\n", line.c_str());
  line_open_ = options_.live;
  std::fflush(options_.out);
}

void Progress::EndPass() {
  if (unreported_step_ > 0) {
    TakeAuc();
    LogWindow(unreported_step_, clock_.Now());
  }
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
