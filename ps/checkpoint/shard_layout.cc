#include "ps/checkpoint/shard_layout.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "ps/checkpoint/hashed_file.h"
#include "ps/checkpoint/shard_file.h"

namespace trestle {

std::string ShardFileName(const std::string& table, int server, int servers) {
  char suffix[64];
  std::snprintf(suffix, sizeof(suffix), "-%05d-of-%05d.arrow", server, servers);
  return "embedding/" + table + suffix;
}

Result<std::vector<SlotColumn>> SlotColumns(const std::string& optimizer, int dim,
                                            int state_width) {
  std::vector<SlotColumn> slots;
  if (optimizer == "adagrad") {
    slots = {{"accumulator", dim}};
  } else if (optimizer == "rowwise_adagrad") {
    slots = {{"accumulator", 1, true}};
  } else if (optimizer == "adam") {
    slots = {{"m", dim}, {"v", dim}};
  } else if (optimizer == "momentum") {
    slots = {{"velocity", dim}};
  } else if (optimizer == "rmsprop") {
    slots = {{"mean_square", dim}};
  } else if (optimizer == "ftrl") {
    slots = {{"z", dim}, {"n", dim}};
  } else if (optimizer != "sgd" && state_width > 0) {
    slots = {{"state", state_width}};
  }
  int sum = 0;
  for (const SlotColumn& slot : slots) sum += slot.width;
  if (sum == state_width) return slots;
  return Status(StatusCode::kInternal, "optimizer " + optimizer + " has state of " +
                                           std::to_string(sum) + " floats a row of dim " +
                                           std::to_string(dim) + ", the table " +
                                           std::to_string(state_width));
}

std::string IndexText(const std::vector<BatchEntry>& batches) {
  auto index = nlohmann::json::array();
  for (const BatchEntry& b : batches) {
    index.push_back({b.offset, b.bytes, b.rows, b.first_partition, b.last_partition, b.xxh3_128});
  }
  return index.dump();
}

Result<std::vector<BatchEntry>> ParseIndex(const std::string& path, const std::string& text) {
  std::vector<BatchEntry> batches;
  try {
    for (const auto& b : nlohmann::json::parse(text)) {
      batches.push_back({b.at(0).get<int64_t>(), b.at(1).get<int64_t>(), b.at(2).get<int64_t>(),
                         b.at(3).get<uint32_t>(), b.at(4).get<uint32_t>(),
                         b.at(5).get<std::string>()});
    }
  } catch (const nlohmann::json::exception& error) {
    return CorruptFile(path, std::string("its index of batches: ") + error.what());
  }
  return batches;
}

}  // namespace trestle
