#include "launcher/prepare/duckdb.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>

#include "launcher/launch/child_process.h"

namespace trestle {
namespace {

constexpr size_t kMostText = size_t{1} << 20;  // of what a script prints
constexpr std::chrono::milliseconds kNoWait{0};

bool IsProgram(const std::string& path) {
  return ::access(path.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(path);
}

// Appends what is there, up to a bound: a script that prints more has failed anyway.
void Drain(int fd, std::string* text) {
  char buffer[1 << 16];
  for (ssize_t count = 0; (count = ::read(fd, buffer, sizeof(buffer))) > 0;) {
    if (text->size() < kMostText) text->append(buffer, static_cast<size_t>(count));
  }
}

struct Running {
  size_t job = 0;
  std::unique_ptr<ChildProcess> child;
  std::string out, err;
};

Result<DuckDb::Rows> ParseRows(const std::string& text) {
  DuckDb::Rows rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) {
      int64_t value = 0;
      const auto end = std::from_chars(cell.data(), cell.data() + cell.size(), value);
      if (end.ec != std::errc() || end.ptr != cell.data() + cell.size()) {
        return Status(StatusCode::kInternal, "duckdb printed \"" + line + "\", expected numbers");
      }
      rows.back().push_back(value);
    }
  }
  return rows;
}

Result<DuckDb::Rows> Outcome(Running& job) {
  const ProcessEnd end = job.child->Reap();
  Drain(job.child->out(), &job.out);
  Drain(job.child->err(), &job.err);
  if (end.signal != 0) {
    return Status(StatusCode::kOutOfMemory,
                  "duckdb was ended by signal " + std::to_string(end.signal) +
                      "; if that was the system's out-of-memory killer, give less --memory");
  }
  if (end.exit_code != 0) return DuckDbError(job.err);
  return ParseRows(job.out);
}

// The jobs that run, and the next to start.
class Jobs {
 public:
  Jobs(FileSystem& fs, const std::string& program, const std::vector<SqlJob>& jobs)
      : fs_(fs), program_(program), jobs_(jobs) {}

  bool AllDone() const { return running_.empty() && next_ == jobs_.size(); }

  Status StartUpTo(int at_once) {
    for (; next_ < jobs_.size() && static_cast<int>(running_.size()) < at_once; ++next_) {
      const SqlJob& job = jobs_[next_];
      TRESTLE_RETURN_IF_ERROR(WriteScript(job));
      TRESTLE_ASSIGN_OR_RETURN(auto child,
                               ChildProcess::Start({program_, "-no-init", "-batch", "-bail", "-csv",
                                                    "-noheader", "-f", job.path}));
      running_.push_back({next_, std::move(child), {}, {}});
    }
    return {};
  }

  // Not synced: after a crash all begins anew.
  Status WriteScript(const SqlJob& job) {
    TRESTLE_ASSIGN_OR_RETURN(const auto file, fs_.Create(job.path));
    TRESTLE_RETURN_IF_ERROR(file->Append(std::as_bytes(std::span(job.script))));
    return file->Close();
  }

  // Waits for output, an end or a signal, as long as a query takes; calls done for what has ended.
  Status Wait(SignalQueue& signals,
              const std::function<Status(size_t, const DuckDb::Rows&)>& done) {
    std::vector<pollfd> watched = {{signals.fd(), POLLIN, 0}};
    for (const Running& job : running_) {
      for (const int fd : {job.child->end_fd(), job.child->out(), job.child->err()}) {
        watched.push_back({fd, POLLIN, 0});
      }
    }
    ::poll(watched.data(), watched.size(), -1);
    if (const int signal = signals.Next(kNoWait); signal != 0 && signal != SIGUSR1) {
      return {StatusCode::kInterrupted, "interrupted; the same command begins anew"};
    }
    for (size_t i = running_.size(); i-- > 0;) {
      Drain(running_[i].child->out(), &running_[i].out);
      Drain(running_[i].child->err(), &running_[i].err);
      if ((watched[1 + 3 * i].revents & POLLIN) == 0) continue;
      Running ended = std::move(running_[i]);
      running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
      TRESTLE_ASSIGN_OR_RETURN(const DuckDb::Rows rows, Outcome(ended));
      TRESTLE_RETURN_IF_ERROR(done(ended.job, rows));
    }
    return {};
  }

 private:
  FileSystem& fs_;
  const std::string& program_;
  const std::vector<SqlJob>& jobs_;
  size_t next_ = 0;
  std::vector<Running> running_;
};

// Beside the build folder that this program is in, as scripts/setup leaves it.
std::string InstalledProgram() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto root = self.parent_path().parent_path().parent_path().parent_path();
  return (root / ".venv/bin/duckdb").string();
}

}  // namespace

Status DuckDbError(const std::string& message) {
  std::string what, file;
  bool in_error = true;
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with("Possible ")) in_error = what.empty();
    if (in_error && !line.empty()) what += (what.empty() ? "" : "; ") + line;
    constexpr std::string_view kFile = "  file = ";
    if (line.starts_with(kFile)) file = line.substr(kFile.size()) + ": ";
  }
  const auto says = [&](std::string_view text) { return what.find(text) != std::string::npos; };
  if (says("Out of Memory Error")) {
    return {StatusCode::kOutOfMemory, "duckdb: " + what + "; give more --memory"};
  }
  if (says("IO Error") || says("No space left")) return {StatusCode::kIoError, "duckdb: " + what};
  if (says("CSV Error") || says("Conversion Error")) return {StatusCode::kInvalidData, file + what};
  return {StatusCode::kInternal, "duckdb: " + (what.empty() ? "failed without a word" : what)};
}

Result<DuckDb> DuckDb::Find(const std::string& given) {
  if (!given.empty()) {
    if (IsProgram(given)) return DuckDb(given);
    return Status(StatusCode::kNotFound, "--duckdb " + given + ": no such program");
  }
  if (const std::string installed = InstalledProgram(); IsProgram(installed)) {
    return DuckDb(installed);
  }
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (IsProgram(folder + "/duckdb")) return DuckDb(folder + "/duckdb");
  }
  return Status(StatusCode::kNotFound,
                "the program duckdb is missing: scripts/setup installs it into .venv (`pip install "
                "duckdb-cli`), or name one with --duckdb");
}

Status DuckDb::Run(FileSystem& fs, const std::vector<SqlJob>& jobs, int at_once,
                   const std::function<Status(size_t, const Rows&)>& done) const {
  Jobs all(fs, program_, jobs);  // its end ends what runs
  while (!all.AllDone()) {
    TRESTLE_RETURN_IF_ERROR(all.StartUpTo(at_once));
    TRESTLE_RETURN_IF_ERROR(all.Wait(*signals_, done));
  }
  return {};
}

}  // namespace trestle
