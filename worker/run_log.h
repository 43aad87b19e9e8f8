// RunLog: metrics.jsonl in the run's folder, one JSON object a line, appended by rank 0. It is the
// one source of what a run did: reports and plots read it, nothing else.
//
// Every line has "event" and "time_s" (seconds since the start). Events: "start", "train" (a window
// of steps), "epoch" (with its ledger), "cost" (of its steps: time, keys, bytes), "eval" (of a set), "slices" (of a set and column), "slice"
// (of a value), "importance" (of a feature), "predict", "checkpoint", "resume", "end". Of an
// evaluation that a stop cuts off there is none, of any set. A run that is killed has events of
// steps behind its newest checkpoint; once it is resumed they come again, and of each (step, set)
// the last one counts. Thread safety: one thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

class RunLog {
 public:
  using Value = std::variant<int64_t, double, std::string, bool>;
  using Fields = std::vector<std::pair<std::string, Value>>;

  // Appends to `path`; an empty path writes nowhere (ranks other than 0).
  static Result<std::unique_ptr<RunLog>> Open(FileSystem& fs, const std::string& path,
                                              const Clock& clock);
  Status Write(const std::string& event, const Fields& fields);

  // One JSON object; NaN and infinity become null.
  static std::string ToJson(const Fields& fields);

 private:
  RunLog(std::unique_ptr<WritableFile> file, const Clock& clock);
  std::unique_ptr<WritableFile> file_;
  const Clock& clock_;
  Clock::Duration start_;
  bool torn_ = false;  // the last write failed
};

}  // namespace trestle
