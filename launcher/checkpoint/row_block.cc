#include "launcher/checkpoint/row_block.h"

#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "base/partition.h"

namespace trestle {
namespace {

constexpr int64_t kBlockBytes = int64_t{64} << 20;

}  // namespace

Result<RowBlock> RowBlock::Load(const CheckpointReader& reader, const TableEntry& table,
                                uint32_t begin_partition, uint32_t end_partition) {
  RowBlock block;
  block.dim_ = static_cast<size_t>(table.dim());
  block.state_width_ = static_cast<size_t>(table.state_width());
  const auto copy = [&](const RowView& row) -> Status {
    block.facts_.push_back({row.key, row.occurrences, row.samples, row.last_step});
    block.weights_.insert(block.weights_.end(), row.weights.begin(), row.weights.end());
    block.state_.insert(block.state_.end(), row.state.begin(), row.state.end());
    return {};
  };
  TRESTLE_RETURN_IF_ERROR(reader.ForEachRow(table.name(), begin_partition, end_partition, copy));
  block.order_.resize(block.facts_.size());
  std::iota(block.order_.begin(), block.order_.end(), 0u);
  const auto key = [&](uint32_t row) { return Mix64(block.facts_[row].key.value); };
  std::ranges::sort(block.order_, {}, key);
  const auto twice = std::ranges::adjacent_find(block.order_, {}, key);
  if (twice != block.order_.end()) {
    return Status(StatusCode::kCorrupt, reader.path() + ": table " + table.name() + " has key " +
                                            std::to_string(block.facts_[*twice].key.value) +
                                            " twice");
  }
  return block;
}

RowView RowBlock::operator[](size_t i) const {
  const size_t row = order_[i];
  const Facts& facts = facts_[row];
  return {facts.key,
          std::span(weights_).subspan(row * dim_, dim_),
          std::span(state_).subspan(row * state_width_, state_width_),
          facts.occurrences,
          facts.samples,
          facts.last_step};
}

uint32_t PartitionsOfBlock(const TableEntry& table) {
  const int64_t row_bytes = int64_t{4} * (table.dim() + table.state_width()) + 40;
  const double blocks =
      static_cast<double>(table.rows()) * static_cast<double>(row_bytes) / kBlockBytes;
  return static_cast<uint32_t>(std::max(1.0, kPartitions / std::max(1.0, blocks)));
}

Status ForEachBlock(const CheckpointReader& reader, const TableEntry& table,
                    uint32_t begin_partition, uint32_t end_partition,
                    const std::function<Status(const RowBlock&)>& visit) {
  const uint32_t step = PartitionsOfBlock(table);
  for (uint32_t begin = begin_partition; begin < end_partition; begin += step) {
    const uint32_t end = std::min(begin + step, end_partition);
    TRESTLE_ASSIGN_OR_RETURN(const RowBlock block, RowBlock::Load(reader, table, begin, end));
    TRESTLE_RETURN_IF_ERROR(visit(block));
  }
  return {};
}

Status ForEachRowInOrder(const CheckpointReader& reader, const TableEntry& table,
                         uint32_t begin_partition, uint32_t end_partition,
                         const std::function<Status(const RowView&)>& visit) {
  const auto each = [&](const RowBlock& block) -> Status {
    for (size_t i = 0; i < block.size(); ++i) TRESTLE_RETURN_IF_ERROR(visit(block[i]));
    return {};
  };
  return ForEachBlock(reader, table, begin_partition, end_partition, each);
}

}  // namespace trestle
