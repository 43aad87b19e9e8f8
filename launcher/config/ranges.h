// The range of each number of a config, in one table that both the check and docs/config.md use.
// (Where a value must agree with other fields or files, the room that reads it checks it.)
//
// Thread safety: pure functions.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

#include "launcher/config.pb.h"
#include "launcher/config/places.h"
#include "launcher/config/problems.h"

namespace trestle {

// "1 to 4096", "above 0", "0 to below 1", "at least 1"; empty for a field without a range.
[[nodiscard]] std::string RangeText(const google::protobuf::FieldDescriptor* field);

// Adds a problem for every set field outside its range: "batch.rows: 0 is out of range; allowed:
// ...".
void CheckRanges(const Config& config, const FieldPlaces& places, Problems* problems);

}  // namespace trestle
