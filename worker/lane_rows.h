// LaneRows: the decoded rows of one lane of one step, columnar and jagged.
#pragma once

#include <cstdint>
#include <vector>

#include "base/jagged.h"

namespace trestle {

struct LaneRows {
  int64_t rows = 0;                 // accepted; a rejected row leaves a hole, nothing moves up
  int64_t rejected = 0;
  std::vector<JaggedKeys> slots;    // per Schema::slots
  std::vector<float> numeric;       // [rows, width], transformed and scaled
  std::vector<float> labels;        // [rows]
  std::vector<float> weights;       // [rows] of the losses; empty: all 1
  std::vector<uint64_t> groups;     // [rows] key of the group column; empty without one
};

}  // namespace trestle
