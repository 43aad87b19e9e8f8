#include "embedding/key_index.h"

#include <algorithm>

namespace trestle::embedding {
namespace {

constexpr uint64_t kDoublingBuckets = 8;  // up to here sizes double
constexpr uint64_t kPhasedBuckets = 64;   // from here each segment has sizes of its own

}  // namespace

bool KeyIndex::Grow(uint64_t keys) {
  uint64_t count = bucket_count_;
  bool phased = phased_;
  while (!Fits(keys, count)) {
    uint64_t more = count / 2;
    if (count < kDoublingBuckets) {
      more = std::max<uint64_t>(count, 1);
    } else if (count >= kPhasedBuckets && !phased) {
      more = 1 + static_cast<uint64_t>(static_cast<double>(more) * phase_);
    }
    phased = phased || count >= kPhasedBuckets;
    count += more;
  }
  Bucket* fresh = static_cast<Bucket*>(memory_->Allocate(Bytes(count)));
  if (!fresh) return false;
  for (uint64_t b = 0; b < count; ++b) fresh[b] = Bucket{};

  KeyIndex old(memory_, phase_);
  old.buckets_ = std::exchange(buckets_, fresh);
  old.bucket_count_ = std::exchange(bucket_count_, count);
  phased_ = phased;
  size_ = 0;
  old.ForEach([this](uint64_t mixed, uint32_t row) { Insert(mixed, row); });
  return true;
}

}  // namespace trestle::embedding
