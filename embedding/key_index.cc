#include "embedding/key_index.h"

namespace trestle::embedding {
namespace {

constexpr uint64_t kDoublingBuckets = 8;  // up to here sizes double
constexpr uint64_t kPhasedBuckets = 64;   // from here each segment has sizes of its own

}  // namespace

bool KeyIndex::Grow() {
  const uint64_t old_count = bucket_count_;
  uint64_t count = old_count + old_count / 2;
  if (old_count < kDoublingBuckets) {
    count = old_count == 0 ? 1 : 2 * old_count;
  } else if (old_count >= kPhasedBuckets && !phased_) {
    count = old_count + 1 + static_cast<uint64_t>(static_cast<double>(old_count / 2) * phase_);
  }
  Bucket* fresh = static_cast<Bucket*>(memory_->Allocate(Bytes(count)));
  if (!fresh) return false;
  for (uint64_t b = 0; b < count; ++b) fresh[b] = Bucket{};

  KeyIndex old(memory_, phase_);
  old.buckets_ = std::exchange(buckets_, fresh);
  old.bucket_count_ = std::exchange(bucket_count_, count);
  phased_ = phased_ || old_count >= kPhasedBuckets;
  size_ = 0;
  old.ForEach([this](uint64_t mixed, uint32_t row) { Insert(mixed, row); });
  return true;
}

}  // namespace trestle::embedding
