#include "worker/run_log.h"

#include <nlohmann/json.hpp>

#include <span>

namespace trestle {

RunLog::RunLog(std::unique_ptr<WritableFile> file, const Clock& clock)
    : file_(std::move(file)), clock_(clock), start_(clock.Now()) {}

Result<std::unique_ptr<RunLog>> RunLog::Open(FileSystem& fs, const std::string& path,
                                             const Clock& clock) {
  std::unique_ptr<WritableFile> file;
  if (!path.empty()) {
    TRESTLE_ASSIGN_OR_RETURN(file, fs.OpenAppend(path));
  }
  return std::unique_ptr<RunLog>(new RunLog(std::move(file), clock));
}

std::string RunLog::ToJson(const Fields& fields) {
  nlohmann::ordered_json object;
  for (const auto& [name, value] : fields) {
    std::visit([&, key = name](const auto& v) { object[key] = v; }, value);
  }
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Status RunLog::Write(const std::string& event, const Fields& fields) {
  if (!file_) return {};
  Fields line = {{"event", event}, {"time_s", Seconds(clock_.Now() - start_)}};
  line.insert(line.end(), fields.begin(), fields.end());
  // A write that failed may have left a part of its line, which must not spoil this one.
  std::string text;
  if (torn_) text += '\n';
  text += ToJson(line) + "\n";
  const Status written = file_->Append(std::as_bytes(std::span(text)));
  torn_ = !written.ok();
  return written;
}

}  // namespace trestle
