// Gathers rows of a decoded block into a lane, in the lane's order, leaving bad rows out.
// Thread safety: pure; different lanes may be filled at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/block.h"
#include "worker/lane_rows.h"
#include "worker/schema.h"

namespace trestle {

// Sizes an empty lane for a schema.
LaneRows EmptyLane(const Schema& schema);

// Appends the given rows of the block (none of them bad) to the lane.
void GatherRows(const Schema& schema, const Block& block, std::span<const int32_t> rows,
                LaneRows* lane);

}  // namespace trestle
