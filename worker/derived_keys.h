// Keys that stand in no file: of bucketized numbers, of crosses, of tables with `hash_buckets`.
// Crosses are made before any key goes into its hash bucket, so their parts are whole keys.
//
// Thread safety: pure functions. Ownership: what is returned or changed owns its keys.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "worker/block.h"
#include "worker/bucket_bounds.h"
#include "worker/schema.h"

namespace trestle {

// How many of the ascending bounds are at most x, as numpy.digitize(x, bounds) counts.
uint64_t BucketOf(std::span<const double> bounds, double x);

// Of the keys of a cross's parts, in their order.
uint64_t CrossKey(std::span<const uint64_t> parts, uint64_t table_seed);

// One of `buckets` keys, which are 0 to buckets - 1.
uint64_t HashBucket(uint64_t key, uint64_t table_seed, int64_t buckets);

// A key a row: the slot's parts have theirs in `slots`.
BlockKeys CrossKeys(const Slot& slot, const std::vector<BlockKeys>& slots, int64_t rows,
                    uint64_t table_seed);

// Puts every key, of an id or of a list, into its hash bucket.
void IntoHashBuckets(int64_t rows, uint64_t table_seed, int64_t buckets, BlockKeys* keys);

// What a table's keys are where they are not those of a column: "99 buckets 0123456789abcdef",
// "HOUR_OF_WEEK", "cross of user, item in 1000 hash buckets". Rows of tables for which it differs mean something
// else. Empty for the keys of a column.
std::string MeaningOfKeys(const Schema& schema, const BucketBounds& bounds, int table);

}  // namespace trestle
