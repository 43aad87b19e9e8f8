#include "launcher/bench/scaling_point.h"

#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

namespace trestle {
namespace {

// Each epoch has a line of its own; what is a fact of the job is the same in all.
void AddCosts(const nlohmann::json& line, ScalingPoint* point) {
  point->hosts = line.value("hosts", 0);
  point->workers = line.value("workers", 0);
  point->threads = line.value("threads", 0);
  point->seconds += line.value("seconds", 0.0);
  for (int phase = 0; phase < kStepPhases; ++phase) {
    const auto i = static_cast<size_t>(phase);
    point->phase_s[i] += line.value(std::string(kStepPhaseNames[i]) + "_s", 0.0);
  }
  const std::pair<const char*, int64_t*> counts[] = {
      {"steps", &point->steps},
      {"rows", &point->rows},
      {"occurrences", &point->occurrences},
      {"unique_keys", &point->unique_keys},
      {"remote_keys", &point->remote_keys},
      {"needed_bytes", &point->needed_bytes},
      {"keys_bytes", &point->keys_bytes},
      {"rows_bytes", &point->rows_bytes},
      {"dense_bytes", &point->dense_bytes},
  };
  for (const auto& [name, sum] : counts) *sum += line.value(name, int64_t{0});
}

}  // namespace

double ScalingPoint::share(int phase) const {
  const double all = std::reduce(phase_s.begin(), phase_s.end());
  return all > 0 ? phase_s[static_cast<size_t>(phase)] / all : 0;
}

double ScalingPoint::wire_ratio() const {
  return needed_bytes > 0 ? sparse_bytes() / needed_sparse_bytes() : 0;
}

Result<ScalingPoint> ReadScalingPoint(FileSystem& fs, const std::string& run_folder, int ranks) {
  const std::string path = run_folder + "/metrics.jsonl";
  TRESTLE_ASSIGN_OR_RETURN(const std::string text, fs.Read(path));
  ScalingPoint point;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    // An earlier run in this folder may have been killed in the middle of a line.
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    const std::string event = json.value("event", "");
    if (event == "start") point = {};
    if (event == "cost") AddCosts(json, &point);
    if (event == "end") point.digest = json.value("digest", "");
  }
  point.ranks = ranks;
  if (point.digest.empty() || point.rows == 0 || !(point.seconds > 0)) {
    return Status(StatusCode::kInternal,
                  path + ": does not tell of a training that was done to its end");
  }
  return point;
}

}  // namespace trestle
