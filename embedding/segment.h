// Segment: the part of a table that one thread works on at a time: an index and the rows it leads
// to. A table has kSegments, far more than threads, picked by bits of the mixed key below those
// that pick the partition, so that each shard fills all its segments alike. An empty one costs 128
// bytes.
//
// Thread safety: one thread at a time; different segments concurrently. Aligned so that two threads
// never write one cache line.
// Errors: Create says kAbsent when there is no memory; the segment is then as before.
#pragma once

#include <cstdint>

#include "embedding/key_index.h"
#include "embedding/row_blocks.h"

namespace trestle::embedding {

class alignas(64) Segment {
 public:
  static constexpr uint32_t kSegments = 64;
  static uint32_t Of(uint64_t mixed) { return static_cast<uint32_t>(mixed >> 42) % kSegments; }

  Segment(uint32_t number, int row_floats, TableMemory* memory)
      : index_(memory, (number + 1.0) / kSegments), rows_(row_floats, memory) {}

  uint32_t rows() const { return rows_.size(); }
  const KeyIndex& index() const { return index_; }
  const RowPlaces& places() const { return rows_.places(); }
  RowPlace At(uint32_t row) const { return rows_.At(row); }

  // Makes room in the index for that many more rows, if there is memory.
  void Reserve(uint64_t more) { (void)index_.Reserve(more); }

  // A new row for a key that is absent, its floats undefined; KeyIndex::kAbsent if there is no
  // memory.
  uint32_t Create(uint64_t mixed);

  // visit(mixed, row) for every row, in no promised order.
  template <class Visit>
  void ForEach(const Visit& visit) const {
    index_.ForEach(visit);
  }

 private:
  KeyIndex index_;
  RowBlocks rows_;
};

}  // namespace trestle::embedding
