#include "embedding/segment.h"

namespace trestle::embedding {

uint32_t Segment::Create(uint64_t mixed) {
  if (!index_.Reserve() || !rows_.Append()) return KeyIndex::kAbsent;
  const uint32_t row = rows_.size() - 1;
  index_.Insert(mixed, row);
  return row;
}

}  // namespace trestle::embedding
