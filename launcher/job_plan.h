// JobPlan: all that follows from the config alone: the schema, every table's settings, the model's
// inputs, seeds, lanes. Pure: reads no file and talks to no rank, so `trestle config check` uses it
// too.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/bridge.h"
#include "base/fixed_point.h"
#include "base/status.h"
#include "embedding/table.h"
#include "launcher/config.h"
#include "worker/schema.h"

namespace trestle {

struct JobPlan {
  Schema schema;                  // with the dims of `tables` applied, and the slices of `eval`
  std::vector<TableSpec> tables;  // per Schema::tables
  std::vector<int> slot_tables;   // per Schema::slots
  ModelInputSpec inputs;
  uint64_t seed = 0;
  int64_t batch_rows = 0;
  int lanes = 0;
  int64_t lane_rows = 0;    // the most rows a lane can have
  int64_t lane_weight = 0;  // the most that they can weigh, in rows of weight 1: fixes the unit
  FixedUnit unit;

  std::vector<uint64_t> TableSeeds() const;
  BackendOptions Backend(const Config& config, int threads) const;
};

// kInvalidConfig lists every mistake that the rooms find, each with its place.
Result<JobPlan> MakeJobPlan(const LoadedConfig& loaded);

}  // namespace trestle
