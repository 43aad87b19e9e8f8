// ScalingReport: what `trestle bench scaling` found, as a table for a person and as JSON for
// programs. Speed-up is over the smallest size that was run, efficiency is the speed-up over the
// ratio of workers; docs/cluster.md explains each column.
//
// Thread safety: pure functions. Collective: no.
#pragma once

#include <string>
#include <vector>

#include "launcher/bench/scaling_point.h"

namespace trestle {

struct ScalingReport {
  std::string config;  // its path
  bool weak = false;
  std::string held_constant;         // in words
  std::vector<ScalingPoint> points;  // by ranks, at least one

  double speed_up(const ScalingPoint& point) const;
  double ideal(const ScalingPoint& point) const;  // its workers over those of the first
  double efficiency(const ScalingPoint& point) const { return speed_up(point) / ideal(point); }
};

// Whether the model came out the same at every size: kMismatch names the first that differs. With
// `weak` sizes train on other rows, and there is nothing to compare.
Status CompareDigests(const ScalingReport& report);

std::string ScalingTable(const ScalingReport& report);
// What else a reader of the table must know: a line each.
std::vector<std::string> ScalingNotes(const ScalingReport& report);
std::string ScalingJson(const ScalingReport& report);

}  // namespace trestle
