#include "worker/request_ranks.h"

#include <algorithm>
#include <tuple>

namespace trestle {

void RequestRanks::Add(uint64_t request, double score) {
  ranked_.push_back({request, score, rows_++});
}

std::vector<int32_t> RequestRanks::Take() {
  std::sort(ranked_.begin(), ranked_.end(), [](const Row& a, const Row& b) {
    return std::tie(a.request, b.score, a.row) < std::tie(b.request, a.score, b.row);
  });
  std::vector<int32_t> ranks(static_cast<size_t>(rows_));
  int32_t rank = 0;
  for (size_t i = 0; i < ranked_.size(); ++i) {
    rank = i > 0 && ranked_[i].request == ranked_[i - 1].request ? rank + 1 : 1;
    ranks[static_cast<size_t>(ranked_[i].row)] = rank;
  }
  ranked_ = {};
  return ranks;
}

}  // namespace trestle
