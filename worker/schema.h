// Schema: what the config's features mean, resolved: columns to read, the slots that models see,
// the tables behind them. Pure: reads no file.
//
// Errors: kInvalidConfig lists every mistake: a column named twice, `like` of an unknown feature,
// `dim` on a shared table, a `tables` entry without a feature.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/data.pb.h"

namespace trestle {

struct Slot {
  std::string column;
  int table = 0;            // index into Schema::tables
  int sequence_group = -1;  // slots of one group have equal offsets; -1: one id a row
  int keep_last = 0;        // sequences only
  IdType type = ANY;
  TimePart time = WHOLE;  // ids only
  char separator = '|';   // of items in text files; sequences only
};

struct TableColumn {
  std::string name;  // of the feature that owns it
  int dim = 0;
};

struct NumericColumn {
  std::string column;
  NumericFeature::Transform transform;
  NumericFeature::Scaling scaling;
  std::optional<float> missing;
};

struct Schema {
  std::vector<Slot> slots;  // id features first, then sequences, in the config's order
  std::vector<TableColumn> tables;
  std::vector<NumericColumn> numeric;
  std::string label;                    // empty: the rows have none, and none is read
  std::optional<double> positive_from;  // of the label; without it the column holds 0 and 1
  std::string group;                    // empty: none
  std::string refused;  // text column of imported files that says why a row is bad; empty: none
  std::vector<std::string> slices;      // columns whose values evaluation tells apart
};

Result<Schema> MakeSchema(const Data& data, const Features& features);

}  // namespace trestle
