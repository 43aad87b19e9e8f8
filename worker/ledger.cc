#include "base/hash.h"
#include "worker/input.h"

namespace trestle {

// Two rounds of mixing, so that neither neighbouring rows nor neighbouring files cancel in a sum.
uint64_t LedgerHash(uint64_t file_index, uint64_t row_in_file) {
  return Mix64(Mix64(file_index + 0x9E3779B97F4A7C15ull) + row_in_file);
}

}  // namespace trestle
