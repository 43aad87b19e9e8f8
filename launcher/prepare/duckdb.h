// DuckDb: the program `duckdb` as a worker. It runs SQL scripts, several at a time, each in a
// process of its own; Ctrl-C, SIGTERM and SIGUSR2 end them all, and so does the end of this
// process. While a DuckDb lives, these signals wait for the next Run where none is going on.
//
// Thread safety: one thread, the only one of its process (SignalQueue). Collective: no.
// Errors: kNotFound if there is no such program; kInterrupted; else what DuckDB said, in one line:
// kInvalidData for what it could not read, kOutOfMemory, kIoError, kInternal for SQL it refuses.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "launcher/launch/signal_queue.h"

namespace trestle {

struct SqlJob {
  std::string path;    // the script is written there; its folder exists
  std::string script;  // must print numbers only
};

class DuckDb {
 public:
  // `given`: a path, or empty for the program that scripts/setup installs, then the one in PATH.
  static Result<DuckDb> Find(const std::string& given);

  // Rows of numbers, a line for each that a script's queries returned.
  using Rows = std::vector<std::vector<int64_t>>;
  // At most `at_once` jobs run at a time; done(index, rows) is called as they end.
  Status Run(FileSystem& fs, const std::vector<SqlJob>& jobs, int at_once,
             const std::function<Status(size_t, const Rows&)>& done) const;

  const std::string& program() const { return program_; }

 private:
  explicit DuckDb(std::string program)
      : program_(std::move(program)), signals_(std::make_unique<SignalQueue>()) {}
  std::string program_;
  std::unique_ptr<SignalQueue> signals_;
};

// What DuckDB's message says, in one line: the error itself and the file it is about.
Status DuckDbError(const std::string& message);

}  // namespace trestle
