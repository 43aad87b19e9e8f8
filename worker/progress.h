// Progress: what a person sees while a run goes on, on rank 0: one live line on a terminal, plain
// lines now and then when piped. Results never depend on it. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "base/clock.h"
#include "worker/run_log.h"

namespace trestle {

class Progress {
 public:
  struct Options {
    std::FILE* out = nullptr;  // null: silent
    bool live = false;         // rewrite one line, ten times a second
    double interval_s = 10;    // a window: between plain lines, and between lines of metrics.jsonl
  };
  // What a window of steps adds.
  struct Window {
    int64_t rows = 0;
    double loss_sum = 0;
  };

  Progress(Options options, const Clock& clock, RunLog& log);

  // A pass begins: "epoch 1/2" or "evaluating", with its number of steps.
  void BeginPass(const std::string& name, int64_t steps);
  // A step is done. rows and loss_sum are global, those of steps that were applied; logits and
  // labels are those of this rank's lanes. lr_factor: of the step, as the schedule has it.
  void Step(int64_t step, int64_t rows, double loss_sum, float lr_factor = 1);
  // A step of an evaluation: a person sees how far it is; metrics.jsonl gets its result alone.
  void EvaluationStep(int64_t rows);
  void AddPredictions(const float* logits, const float* labels, int64_t rows);
  // Ends the live line, if any; steps since the last window get their line of metrics.jsonl.
  void EndPass();
  // A line of metrics.jsonl. One that cannot be written (a full disk) does not end the run: it is
  // said once, here and in the rank's log.
  void Log(const std::string& event, const RunLog::Fields& fields);
  // A line of its own, above the live one.
  void Say(const std::string& line);

 private:
  void Report(int64_t step, Clock::Duration now);
  void TakeAuc();
  void LogWindow(int64_t step, Clock::Duration now);
  double RowsPerSecond(Clock::Duration now) const;
  double Loss() const;
  std::string Line(int64_t step, Clock::Duration now) const;
  std::string MemoryAndTimeLeft(Clock::Duration now) const;
  void Print(const std::string& line);

  const Options options_;
  const Clock& clock_;
  RunLog& log_;
  std::string pass_;
  int64_t pass_steps_ = 0;
  int64_t pass_done_ = 0;
  Clock::Duration pass_start_{};
  Clock::Duration window_start_{};
  Clock::Duration last_drawn_{};
  Window window_;
  int64_t unreported_step_ = 0;         // the newest of the window; 0: it has none
  float lr_factor_ = 1;                 // of the newest step
  double auc_ = 0;                      // of the last full window; NaN before
  std::vector<float> logits_, labels_;  // the newest of the window: kAucRows count, twice are held
  bool line_open_ = false;
  bool log_failed_ = false;
  static constexpr size_t kAucRows = 65'536;
};

// Resident memory of this process in MiB.
int64_t ResidentMiB();
// "1h02m", "3m20s", "12s".
std::string FormatDuration(double seconds);

}  // namespace trestle
