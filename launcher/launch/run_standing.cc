#include "launcher/launch/run_standing.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "ps/checkpoint/checkpoint_folder.h"

namespace trestle {
namespace {

// Of metrics.jsonl; a line has about 200 bytes.
constexpr int64_t kTailBytes = 1 << 20;

// The last step of the newest start of a training, 0 if it has told of none. A line that a killed
// run left unfinished, or that the tail cuts, is no JSON and tells nothing.
Result<int64_t> LastLoggedStep(FileSystem& fs, const std::string& path) {
  if (!fs.Exists(path)) return 0;
  TRESTLE_ASSIGN_OR_RETURN(const int64_t size, fs.Size(path));
  const int64_t begin = std::max<int64_t>(0, size - kTailBytes);
  TRESTLE_ASSIGN_OR_RETURN(const std::string tail, fs.ReadRange(path, begin, size - begin));
  int64_t step = 0;
  std::istringstream lines(tail);
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    const std::string event = json.value("event", "");
    if (event == "start" && json.value("command", "train") == "train") step = 0;
    if (event == "train") step = json.value("step", step);
  }
  return step;
}

}  // namespace

Result<RunStanding> ReadRunStanding(FileSystem& fs, const std::string& run_folder,
                                    const std::string& checkpoints) {
  RunStanding standing;
  TRESTLE_ASSIGN_OR_RETURN(const auto all, ListCheckpoints(fs, checkpoints));
  for (const FoundCheckpoint& found : all) {  // oldest first
    if (!found.complete) continue;
    standing.checkpoint = found.name.ToString();
    standing.checkpoint_step = found.name.step;
  }
  TRESTLE_ASSIGN_OR_RETURN(const int64_t logged, LastLoggedStep(fs, run_folder + "/metrics.jsonl"));
  standing.last_step = std::max(logged, standing.checkpoint_step);
  return standing;
}

}  // namespace trestle
