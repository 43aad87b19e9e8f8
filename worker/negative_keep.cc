#include "worker/negative_keep.h"

#include <cmath>

#include "base/philox.h"

namespace trestle {

double NegativeKeep(const Data& data) {
  return data.has_negative_keep() ? data.negative_keep() : 1;
}

bool KeepsNegative(double share, uint64_t seed, uint64_t file_index, uint64_t row_in_file) {
  if (share >= 1) return true;
  const PhiloxCounter words = Philox(seed, file_index, row_in_file);
  return static_cast<double>(words[0]) * 0x1p-32 < share;
}

float LogitCorrection(double share) { return static_cast<float>(std::log(share)); }

}  // namespace trestle
