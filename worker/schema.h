// Schema: what the config's features mean, resolved: columns to read, the slots that models see,
// the tables behind them. Pure: reads no file.
//
// Errors: kInvalidConfig lists every mistake: a column named twice, `like` of an unknown feature,
// `dim` on a shared table, bounds that do not ascend, a cross of what is no id.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/data.pb.h"

namespace trestle {

struct Slot {
  std::string column;       // of a cross, which is in no file, its name
  int table = 0;            // index into Schema::tables
  int sequence_group = -1;  // of lists: slots of one group have equal offsets; -1: one id a row
  int keep_last = 0;        // lists only
  std::optional<Pooling> pooling;  // bags only
  IdType type = ANY;
  TimePart time = WHOLE;   // ids only
  char separator = '|';    // of items in text files; lists only
  int bucket = -1;         // index into Schema::buckets; -1: not bucketized
  std::vector<int> parts;  // of a cross: the slots before it whose keys make its own
  bool crossed() const { return !parts.empty(); }
};

struct TableColumn {
  std::string name;  // of the feature that owns it
  int dim = 0;
  int64_t hash_buckets = 0;  // 0: a row a key
};

struct BucketColumn {
  std::string column;
  std::vector<double> bounds;  // ascending; empty where they are `quantiles`
  int quantiles = 0;           // of the training files; 0: `bounds` are given
};

struct NumericColumn {
  std::string column;
  NumericFeature::Transform transform;
  NumericFeature::Scaling scaling;
  std::optional<float> missing;
};

struct Schema {
  // Id features first, then sequences, bags, bucketized columns and crosses, each in the config's
  // order.
  std::vector<Slot> slots;
  std::vector<TableColumn> tables;
  std::vector<BucketColumn> buckets;
  std::vector<NumericColumn> numeric;
  std::string label;                    // empty: the rows have none, and none is read
  std::optional<double> positive_from;  // of the label; without it the column holds 0 and 1
  std::string group;                    // empty: none
  std::string weight;                   // empty: none
  double max_weight = 100;  // of the column's cells
  double positive_weight = 1;
  std::string refused;  // text column of imported files that says why a row is bad; empty: none
  std::vector<std::string> slices;  // columns whose values evaluation tells apart
  bool weighted() const { return !weight.empty() || positive_weight != 1; }
  // That a row may have.
  double largest_weight() const {
    return (weight.empty() ? 1 : max_weight) * std::max(1.0, positive_weight);
  }
};

Result<Schema> MakeSchema(const Data& data, const Features& features);

}  // namespace trestle
