// RowBlock: the rows of a table in a range of partitions, copied into memory and ordered by mixed
// key, whether the checkpoint is full or a delta. Ranges are chosen so that a block takes about
// 64 MiB: keys are spread evenly over the partitions.
//
// Thread safety: a plain value. Ownership: the views it gives live as long as it does.
// Errors: as CheckpointReader::ForEachRow; kCorrupt if a key comes twice.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/status.h"
#include "embedding/table.h"
#include "ps/checkpoint/checkpoint_reader.h"

namespace trestle {

class RowBlock {
 public:
  static Result<RowBlock> Load(const CheckpointReader& reader, const TableEntry& table,
                               uint32_t begin_partition, uint32_t end_partition);

  size_t size() const { return order_.size(); }
  RowView operator[](size_t i) const;  // by mixed key, ascending

 private:
  struct Facts {
    Key key;
    uint64_t occurrences, samples;
    int64_t last_step;
  };

  size_t dim_ = 0, state_width_ = 0;
  std::vector<Facts> facts_;     // as they came
  std::vector<float> weights_;   // [rows, dim]
  std::vector<float> state_;     // [rows, state_width]
  std::vector<uint32_t> order_;  // by mixed key
};

// How many partitions of a table of that many rows make a block; at least 1.
uint32_t PartitionsOfBlock(const TableEntry& table);

// Visits the rows of partitions [begin, end), block after block.
Status ForEachBlock(const CheckpointReader& reader, const TableEntry& table,
                    uint32_t begin_partition, uint32_t end_partition,
                    const std::function<Status(const RowBlock&)>& visit);
// Row after row, ordered by (partition, mixed key).
Status ForEachRowInOrder(const CheckpointReader& reader, const TableEntry& table,
                         uint32_t begin_partition, uint32_t end_partition,
                         const std::function<Status(const RowView&)>& visit);

}  // namespace trestle
