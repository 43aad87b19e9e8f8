// KeyIndex: from a key's mixed 64 bits to its row's number, for one segment. Open addressing over
// buckets of one cache line: five keys, their rows, and how many are there. A lookup touches one
// line, in one of ten cases the next one too; the whole key is compared, and no key value is
// reserved.
//
// A bucket's number is monotone in the mixed bits (multiply and shift), so growing by a quarter
// streams through old and new memory in order, and sizes need not be powers of two: 16 to 20 bytes
// a key, of which 8 are the key, instead of up to 32. Segments grow at different sizes (`phase`),
// so that a table never holds two of all its indexes.
//
// Thread safety: one thread at a time. Ownership: memory belongs to the TableMemory given.
// Errors: Reserve returns false when there is no memory; the index is then as before.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>

#include "embedding/table_memory.h"

namespace trestle::embedding {

class KeyIndex {
 public:
  static constexpr uint32_t kAbsent = 0xFFFFFFFFu;

  // phase in (0, 1].
  KeyIndex(TableMemory* memory, double phase) : memory_(memory), phase_(phase) {}
  ~KeyIndex() { memory_->Free(buckets_, Bytes(bucket_count_)); }
  KeyIndex(KeyIndex&& other) noexcept
      : memory_(other.memory_),
        phase_(other.phase_),
        phased_(other.phased_),
        buckets_(std::exchange(other.buckets_, nullptr)),
        bucket_count_(std::exchange(other.bucket_count_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  KeyIndex& operator=(KeyIndex&&) = delete;

  // Brings the bucket that Find will read first into the cache.
  void Prefetch(uint64_t mixed) const { __builtin_prefetch(buckets_ + Home(mixed)); }

  // The key's row, or kAbsent.
  uint32_t Find(uint64_t mixed) const {
    if (size_ == 0) return kAbsent;
    uint32_t b = Home(mixed);
    while (true) {
      const Bucket& bucket = buckets_[b];
      if (const uint32_t match = bucket.Match(mixed)) return bucket.rows[std::countr_zero(match)];
      if (bucket.count < kSlots) return kAbsent;
      b = Next(b);
    }
  }

  // Makes room for one more key. After it Insert cannot fail.
  [[nodiscard]] bool Reserve() { return size_ + 1 <= bucket_count_ * kMaxKeysPerBucket || Grow(); }

  // Requires Reserve() and a key that is absent.
  void Insert(uint64_t mixed, uint32_t row) {
    uint32_t b = Home(mixed);
    while (buckets_[b].count == kSlots) b = Next(b);
    Bucket& bucket = buckets_[b];
    bucket.mixed[bucket.count] = mixed;
    bucket.rows[bucket.count] = row;
    ++bucket.count;
    ++size_;
  }

  // visit(mixed, row) for every key, in no promised order.
  template <class Visit>
  void ForEach(const Visit& visit) const {
    for (uint64_t b = 0; b < bucket_count_; ++b) {
      for (uint32_t i = 0; i < buckets_[b].count; ++i)
        visit(buckets_[b].mixed[i], buckets_[b].rows[i]);
    }
  }

 private:
  static constexpr uint32_t kSlots = 5;
  static constexpr uint64_t kMaxKeysPerBucket = 4;  // a load of 0.8

  struct alignas(64) Bucket {
    uint64_t mixed[kSlots];
    uint32_t rows[kSlots];
    uint32_t count;

    // Bit i: slot i is in use and holds `key`. No branches: which slot it is cannot be predicted.
    uint32_t Match(uint64_t key) const {
      uint32_t match = 0;
      for (uint32_t i = 0; i < kSlots; ++i) match |= static_cast<uint32_t>(mixed[i] == key) << i;
      return match & ((1u << count) - 1);
    }
  };
  static_assert(sizeof(Bucket) == 64);

  static size_t Bytes(uint64_t buckets) { return size_t{buckets} * sizeof(Bucket); }

  // Bits 41..10: those above pick partition and segment, and may be the same for all keys here.
  uint32_t Home(uint64_t mixed) const {
    return static_cast<uint32_t>(((mixed >> 10 & 0xFFFFFFFFu) * bucket_count_) >> 32);
  }
  uint32_t Next(uint32_t b) const { return b + 1 == bucket_count_ ? 0 : b + 1; }

  bool Grow();

  TableMemory* memory_;
  double phase_;
  bool phased_ = false;
  Bucket* buckets_ = nullptr;
  uint64_t bucket_count_ = 0;
  uint64_t size_ = 0;
};

}  // namespace trestle::embedding
