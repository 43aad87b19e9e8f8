// What the input's tests share: a folder, a schema from config text, files whose every row carries
// its own number, and a run over all lanes of several workers.
#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/parquet_files.h"
#include "tests/support/temp_dir.h"
#include "worker/input.h"

namespace trestle {

template <class Message>
Message Parse(const std::string& text) {
  Message message;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

inline Schema SchemaOf(const std::string& data, const std::string& features) {
  auto schema = MakeSchema(Parse<Data>(data), Parse<Features>(features));
  CHECK(schema.ok()) << schema.status().ToString();
  return std::move(schema).value();
}

inline std::vector<uint64_t> Seeds(const Schema& schema) {
  std::vector<uint64_t> seeds;
  for (size_t i = 0; i < schema.tables.size(); ++i) seeds.push_back(1000 + i);
  return seeds;
}

inline Result<std::unique_ptr<Dataset>> Open(const Schema& schema,
                                             std::vector<std::string> patterns) {
  return OpenDataset(schema, {std::move(patterns), Seeds(schema)});
}

inline std::unique_ptr<Dataset> MustOpen(const Schema& schema, std::vector<std::string> patterns) {
  auto dataset = Open(schema, std::move(patterns));
  CHECK(dataset.ok()) << dataset.status().ToString();
  return std::move(dataset).value();
}

// All steps of the lanes [plan.first_lane, plan.end_lane): [step][lane].
inline std::vector<std::vector<LaneRows>> ReadAll(const Dataset& dataset, const PlanOptions& plan,
                                                  Ledger* ledger = nullptr,
                                                  std::string* first_reject = nullptr) {
  auto reader = OpenLanes(dataset, plan, FileSystem::Local());
  CHECK(reader.ok()) << reader.status().ToString();
  std::vector<std::vector<LaneRows>> steps;
  while (true) {
    auto step = (*reader)->Next();
    CHECK(step.ok()) << step.status().ToString();
    if (!step->has_value()) break;
    steps.push_back(std::move(**step));
  }
  if (ledger) *ledger = (*reader)->ledger();
  if (first_reject) *first_reject = (*reader)->first_reject();
  return steps;
}

inline PlanOptions WholePlan(int64_t batch_rows, int lanes, Order order = TIME) {
  PlanOptions plan;
  plan.order = order;
  plan.batch_rows = batch_rows;
  plan.lanes = lanes;
  plan.end_lane = lanes;
  return plan;
}

// The whole dataset in file order as one lane.
inline LaneRows ReadInOrder(const Dataset& dataset, PlanOptions plan = WholePlan(1 << 20, 1)) {
  auto steps = ReadAll(dataset, plan);
  CHECK_EQ(steps.size(), 1u);
  return std::move(steps[0][0]);
}

inline bool SameRows(const LaneRows& a, const LaneRows& b) {
  if (a.slots.size() != b.slots.size()) return false;
  for (size_t i = 0; i < a.slots.size(); ++i) {
    if (a.slots[i].keys != b.slots[i].keys || a.slots[i].offsets != b.slots[i].offsets)
      return false;
  }
  return a.rows == b.rows && a.rejected == b.rejected && a.numeric == b.numeric &&
         a.labels == b.labels && a.groups == b.groups;
}

inline std::vector<uint64_t> Ids(const JaggedKeys& keys) {
  std::vector<uint64_t> ids;
  for (const Key key : keys.keys) ids.push_back(key.value);
  return ids;
}

}  // namespace trestle
