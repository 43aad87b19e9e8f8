#include "ps/checkpoint/restore.h"

#include <algorithm>
#include <map>

#include "base/partition.h"

namespace trestle {

Status RestoreTables(const CheckpointReader& checkpoint,
                     const std::function<bool(const std::string& table)>& wanted, Node* node) {
  const int server = node->server_index();
  for (EmbeddingTable* table : node->tables()) {
    const std::string& name = table->spec().name;
    if (!wanted(name)) continue;
    const uint32_t begin = ShardBegin(server, node->server_count());
    const uint32_t end = ShardBegin(server + 1, node->server_count());
    table->Reserve(checkpoint.Rows(name) * (end - begin) / kPartitions);
    TRESTLE_RETURN_IF_ERROR(
        checkpoint.ForEachRows(name, begin, end, [table](std::span<const RowView> rows) {
          return table->Insert(rows);
        }));
  }
  return {};
}

Status RestoreDense(const CheckpointReader& checkpoint, bool may_lack, DenseBackend* backend) {
  TRESTLE_ASSIGN_OR_RETURN(const auto tensors, checkpoint.Dense());
  std::map<std::string, const NamedTensor*> by_name;
  for (const NamedTensor& tensor : tensors) by_name[tensor.name] = &tensor;
  for (const auto& [slice, values] : backend->State()) {
    const auto found = by_name.find(slice.name);
    if (found == by_name.end()) {
      if (may_lack) continue;
      return {StatusCode::kInvalidConfig,
              checkpoint.path() + ": the network has no " + slice.name +
                  "; give it fresh ones with --allow-new, or use the config of that run"};
    }
    const NamedTensor& tensor = *found->second;
    if (tensor.rows != slice.rows || tensor.cols != slice.cols) {
      return {StatusCode::kInvalidConfig,
              checkpoint.path() + ": " + slice.name + " is [" + std::to_string(tensor.rows) + ", " +
                  std::to_string(tensor.cols) + "] there and [" + std::to_string(slice.rows) +
                  ", " + std::to_string(slice.cols) + "] here; use the config of that run"};
    }
    std::copy(tensor.values.begin(), tensor.values.end(), values.begin());
  }
  return {};
}

}  // namespace trestle
