// JaggedKeys: the keys of one feature for the rows of one lane, without padding.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"

namespace trestle {

struct JaggedKeys {
  std::vector<Key> keys;            // all rows' keys, row after row, oldest first inside a row
  std::vector<int32_t> offsets{0};  // [rows + 1]; row b owns keys [offsets[b], offsets[b+1])
};

}  // namespace trestle
