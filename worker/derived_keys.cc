#include "worker/derived_keys.h"

#include <algorithm>

#include "base/hash.h"

namespace trestle {
namespace {

std::string BucketsText(std::span<const double> bounds) {
  return std::to_string(bounds.size() + 1) + " buckets " + Hex(Hash64(std::as_bytes(bounds)));
}

std::string MeaningOfSlot(const Schema& schema, const BucketBounds& bounds, const Slot& slot) {
  if (slot.bucket >= 0) return BucketsText(bounds[static_cast<size_t>(slot.bucket)]);
  if (slot.time != WHOLE) return TimePart_Name(slot.time);
  std::string text;
  for (const int part : slot.parts) {
    const Slot& of_part = schema.slots[static_cast<size_t>(part)];
    const std::string meaning = MeaningOfSlot(schema, bounds, of_part);
    text += (text.empty() ? "cross of " : ", ") + of_part.column +
            (meaning.empty() ? "" : " (" + meaning + ")");
  }
  return text;
}

}  // namespace

uint64_t BucketOf(std::span<const double> bounds, double x) {
  return static_cast<uint64_t>(std::upper_bound(bounds.begin(), bounds.end(), x) - bounds.begin());
}

// Two rounds of mixing a part, so that neither neighbouring keys nor their order cancel.
uint64_t CrossKey(std::span<const uint64_t> parts, uint64_t table_seed) {
  uint64_t hash = table_seed;
  for (const uint64_t part : parts) hash = Mix64(Mix64(hash + 0x9E3779B97F4A7C15ull) + part);
  return hash;
}

uint64_t HashBucket(uint64_t key, uint64_t table_seed, int64_t buckets) {
  return Mix64(key ^ table_seed) % static_cast<uint64_t>(buckets);
}

BlockKeys CrossKeys(const Slot& slot, const std::vector<BlockKeys>& slots, int64_t rows,
                    uint64_t table_seed) {
  BlockKeys crossed;
  crossed.own_keys.resize(static_cast<size_t>(rows));
  std::vector<uint64_t> parts(slot.parts.size());
  for (size_t row = 0; row < crossed.own_keys.size(); ++row) {
    for (size_t p = 0; p < parts.size(); ++p) {
      parts[p] = slots[static_cast<size_t>(slot.parts[p])].keys[row];
    }
    crossed.own_keys[row] = CrossKey(parts, table_seed);
  }
  crossed.keys = crossed.own_keys.data();
  return crossed;
}

void IntoHashBuckets(int64_t rows, uint64_t table_seed, int64_t buckets, BlockKeys* keys) {
  // The items of a borrowed list may begin behind others.
  const auto begin = static_cast<size_t>(keys->offsets ? keys->offsets[0] : 0);
  const auto end = static_cast<size_t>(keys->offsets ? keys->offsets[rows] : rows);
  std::vector<uint64_t> bucketed(end);
  for (size_t i = begin; i < end; ++i) bucketed[i] = HashBucket(keys->keys[i], table_seed, buckets);
  keys->own_keys = std::move(bucketed);
  keys->keys = keys->own_keys.data();
}

std::string MeaningOfKeys(const Schema& schema, const BucketBounds& bounds, int table) {
  std::string text;
  for (const Slot& slot : schema.slots) {
    if (slot.table == table && text.empty()) text = MeaningOfSlot(schema, bounds, slot);
  }
  const int64_t buckets = schema.tables[static_cast<size_t>(table)].hash_buckets;
  if (buckets == 0) return text;
  return text + (text.empty() ? "in " : " in ") + std::to_string(buckets) + " hash buckets";
}

}  // namespace trestle
