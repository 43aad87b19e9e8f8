#include "launcher/bench/scaling_report.h"

#include <nlohmann/json.hpp>

#include "launcher/format.h"
#include "launcher/version.h"

namespace trestle {
namespace {

std::string DigestText(const ScalingReport& report, const ScalingPoint& point) {
  if (report.weak || &point == &report.points.front()) return point.digest;
  return point.digest == report.points.front().digest ? "equal" : point.digest + " DIFFERS";
}

nlohmann::ordered_json PointJson(const ScalingReport& report, const ScalingPoint& point) {
  nlohmann::ordered_json json = {{"ranks", point.ranks},
                                 {"hosts", point.hosts},
                                 {"workers", point.workers},
                                 {"threads_a_rank", point.threads},
                                 {"steps", point.steps},
                                 {"rows", point.rows},
                                 {"seconds", point.seconds},
                                 {"samples_per_s", point.samples_per_s()},
                                 {"speed_up", report.speed_up(point)},
                                 {"ideal_speed_up", report.ideal(point)},
                                 {"efficiency", report.efficiency(point)}};
  for (int phase = 0; phase < kStepPhases; ++phase) {
    json["phase_share"][kStepPhaseNames[static_cast<size_t>(phase)]] = point.share(phase);
  }
  json["id_occurrences"] = point.occurrences;
  json["unique_keys"] = point.unique_keys;
  json["remote_keys"] = point.remote_keys;
  json["wire_bytes"] = {{"keys", point.keys_bytes},
                        {"rows_and_gradients", point.rows_bytes},
                        {"needed_by_remote_keys", point.needed_bytes},
                        {"dense", point.dense_bytes}};
  json["wire_bytes_per_sample"] = {{"sparse", point.sparse_bytes()},
                                   {"needed", point.needed_sparse_bytes()},
                                   {"ratio", point.wire_ratio()},
                                   {"dense", point.dense_bytes_per_sample()}};
  json["digest"] = point.digest;
  return json;
}

}  // namespace

double ScalingReport::speed_up(const ScalingPoint& point) const {
  return point.samples_per_s() / points.front().samples_per_s();
}

double ScalingReport::ideal(const ScalingPoint& point) const {
  return static_cast<double>(point.workers) / points.front().workers;
}

Status CompareDigests(const ScalingReport& report) {
  if (report.weak) return {};
  const ScalingPoint& first = report.points.front();
  for (const ScalingPoint& point : report.points) {
    if (point.digest == first.digest) continue;
    return {StatusCode::kMismatch,
            "bench scaling: digest " + point.digest + " at " + std::to_string(point.ranks) +
                " ranks differs from " + first.digest + " at " + std::to_string(first.ranks) +
                ": the model must not depend on the number of ranks. Look for a host of another "
                "kind with `mpirun ... trestle doctor`, and report it with both run folders"};
  }
  return {};
}

std::string ScalingTable(const ScalingReport& report) {
  std::string table =
      "                                           "
      "|        share of the time within steps, %         | bytes on the wire a sample  |\n"
      "ranks hosts thr.  samples/s speed-up  eff. "
      "| input  pull compute reduce  push update  rest "
      "|  sparse  needed ratio   dense | digest\n";
  for (const ScalingPoint& point : report.points) {
    const auto percent = [&](StepPhase phase) {
      return 100 * point.share(static_cast<int>(phase));
    };
    const std::string ratio = point.needed_bytes > 0 ? Format("%.3f", point.wire_ratio()) : "-";
    table += Format("%5d %5d %4d %10.0f %8.2f %5.2f ", point.ranks, point.hosts, point.threads,
                    point.samples_per_s(), report.speed_up(point), report.efficiency(point));
    table += Format("| %5.1f %5.1f %7.1f %6.1f %5.1f %6.1f %5.1f ", percent(StepPhase::kInput),
                    percent(StepPhase::kPull), percent(StepPhase::kCompute),
                    percent(StepPhase::kAllReduce), percent(StepPhase::kPush),
                    percent(StepPhase::kUpdate), percent(StepPhase::kRest));
    table += Format("| %7.0f %7.0f %5s %7.0f | ", point.sparse_bytes(), point.needed_sparse_bytes(),
                    ratio.c_str(), point.dense_bytes_per_sample());
    table += DigestText(report, point) + "\n";
  }
  return table;
}

std::vector<std::string> ScalingNotes(const ScalingReport& report) {
  std::vector<std::string> notes;
  bool same_threads = true;
  for (const ScalingPoint& point : report.points) {
    same_threads = same_threads && point.threads == report.points.front().threads;
  }
  if (!same_threads) {
    notes.push_back(
        "note: ranks have fewer threads where more of them share a host, so that a rank is not the "
        "same at every size; --set cluster.threads=N keeps it the same");
  }
  return notes;
}

std::string ScalingJson(const ScalingReport& report) {
  nlohmann::ordered_json json = {{"version", 1},
                                 {"trestle", VersionText()},
                                 {"config", report.config},
                                 {"mode", report.weak ? "weak" : "strong"},
                                 {"held_constant", report.held_constant}};
  json["digests_equal"] = nullptr;  // not compared
  if (!report.weak) json["digests_equal"] = CompareDigests(report).ok();
  for (const ScalingPoint& point : report.points) json["sizes"].push_back(PointJson(report, point));
  return json.dump(2) + "\n";
}

}  // namespace trestle
