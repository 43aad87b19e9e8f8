// One --set: "path=value", applied to a config.
//
//   batch.rows=1024                        a field
//   tables[cate_id].dim=64                 an entry by its `name`, created if there is none
//   features.id[0].dim=8                   an entry without names, by its index
//   data.train=[a.parquet,b.parquet]       a list replaces the list; strings need no quotes
//   optimizer.embedding.adam.lr=0.01       a member of a oneof switches it
//   model={ base { } }                     a message in protobuf text replaces the message
//
// Thread safety: pure function of what it is given.
// Errors: in Problems, placed at the --set.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "launcher/config/places.h"
#include "launcher/config/problems.h"

namespace trestle {

// `index` is the override's place in the list of them.
void ApplyOverride(const std::string& text, int index, google::protobuf::Message* config,
                   FieldPlaces* places, Problems* problems);

}  // namespace trestle
