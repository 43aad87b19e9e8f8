// KeyIndex: from a key's mixed 64 bits to its row's number, for one segment. Open addressing over
// buckets of one cache line: five keys and their rows. A lookup touches one line, in one of forty
// cases the next one too; the whole key is compared, and no key value is reserved.
//
// A bucket's number is monotone in the mixed bits (multiply and shift), so growing streams through
// old and new memory in order, and sizes need not be powers of two. It grows by half: 18 to 27
// bytes a key, of which 8 are the key. Segments grow at different sizes (`phase`), so that a table
// as a whole holds the mean of that, 23, and never two of all its indexes. Fuller buckets cost
// lookups: the next line is a second miss. A smaller step leaves more freed memory than the rows
// created meanwhile can fill.
//
// Thread safety: one thread at a time, but for ForEach, which may run beside one that inserts as
// long as that one need not grow: keys that are there do not move until then. Ownership: memory
// belongs to the TableMemory given.
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

  // The bucket where the key is, if it is anywhere, in all but one of forty cases. A pipeline asks
  // for it, reads it with FindAtHome some keys later, and what that cannot tell some keys later
  // still with Find.
  const void* HomeLine(uint64_t mixed) const { return buckets_ + Home(mixed); }

  // The key's row if it is in its home bucket, else kAbsent, and then `*next` is the line that Find
  // would read next. No branches: which slot it is cannot be predicted, nor whether it is there.
  // Requires size() > 0.
  uint32_t FindAtHome(uint64_t mixed, const void** next) const {
    const Bucket* bucket = buckets_ + Home(mixed);
    *next = bucket + 1;
    return bucket->Find(mixed);
  }

  // The key's row, or kAbsent.
  uint32_t Find(uint64_t mixed) const {
    if (size_ == 0) return kAbsent;
    uint32_t b = Home(mixed);
    while (true) {
      const uint32_t row = buckets_[b].Find(mixed);
      if (row != kAbsent || !buckets_[b].full()) return row;
      b = Next(b);
    }
  }

  uint64_t size() const { return size_; }

  // Makes room for that many more keys, as large as they would have made it one by one. After it
  // as many calls of Insert cannot fail.
  [[nodiscard]] bool Reserve(uint64_t more = 1) { return HasRoom(more) || Grow(size_ + more); }
  bool HasRoom(uint64_t more = 1) const { return Fits(size_ + more, bucket_count_); }

  // Requires Reserve() and a key that is absent.
  void Insert(uint64_t mixed, uint32_t row) {
    uint32_t b = Home(mixed);
    while (buckets_[b].full()) b = Next(b);
    Bucket& bucket = buckets_[b];
    uint32_t slot = 0;
    while (bucket.rows[slot] != kAbsent) ++slot;
    bucket.mixed[slot] = mixed;
    __atomic_store_n(&bucket.rows[slot], row, __ATOMIC_RELEASE);
    ++size_;
  }

  // visit(mixed, row) for every key, in no promised order; some or all of those that are inserted
  // meanwhile.
  template <class Visit>
  void ForEach(const Visit& visit) const {
    for (uint64_t b = 0; b < bucket_count_; ++b) {
      const Bucket& bucket = buckets_[b];
      for (uint32_t i = 0;; ++i) {
        const uint32_t row = __atomic_load_n(&bucket.rows[i], __ATOMIC_ACQUIRE);
        if (row == kAbsent) break;
        visit(bucket.mixed[i], row);
      }
    }
  }

 private:
  static constexpr uint32_t kSlots = 5;
  static constexpr uint64_t kMaxKeysPerTwoBuckets = 7;  // a load of 0.7

  // Slots fill in order. An empty one, and the one too many, holds kAbsent for a row.
  struct alignas(64) Bucket {
    uint64_t mixed[kSlots] = {};
    uint32_t rows[kSlots + 1] = {kAbsent, kAbsent, kAbsent, kAbsent, kAbsent, kAbsent};

    bool full() const { return rows[kSlots - 1] != kAbsent; }

    // The row of the first slot that holds `key`: a slot in use comes before an empty one whose
    // zero happens to be equal; if none does, of the slot too many. No branches: which slot it is
    // cannot be predicted.
    uint32_t Find(uint64_t key) const {
      uint32_t match = 1u << kSlots;
      for (uint32_t i = 0; i < kSlots; ++i) match |= static_cast<uint32_t>(mixed[i] == key) << i;
      return rows[std::countr_zero(match)];
    }
  };
  static_assert(sizeof(Bucket) == 64);

  static size_t Bytes(uint64_t buckets) { return size_t{buckets} * sizeof(Bucket); }

  // Bits 41..10: those above pick partition and segment, and may be the same for all keys here.
  uint32_t Home(uint64_t mixed) const {
    return static_cast<uint32_t>(((mixed >> 10 & 0xFFFFFFFFu) * bucket_count_) >> 32);
  }
  uint32_t Next(uint32_t b) const { return b + 1 == bucket_count_ ? 0 : b + 1; }

  static bool Fits(uint64_t keys, uint64_t buckets) {
    return 2 * keys <= buckets * kMaxKeysPerTwoBuckets;
  }
  bool Grow(uint64_t keys);

  TableMemory* memory_;
  double phase_;
  bool phased_ = false;
  Bucket* buckets_ = nullptr;
  uint64_t bucket_count_ = 0;
  uint64_t size_ = 0;
};

}  // namespace trestle::embedding
