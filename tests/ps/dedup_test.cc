#include "ps/dedup.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "base/partition.h"
#include "ps/worker_keys.h"

namespace trestle {
namespace {

std::vector<Key> RandomKeys(std::mt19937_64& random, size_t count, uint64_t distinct) {
  std::vector<Key> keys(count);
  for (Key& key : keys) key = Key{random() % distinct * 0x9E3779B97F4A7C15ull};
  return keys;
}

// Numbers by first occurrence, with a map.
std::vector<uint32_t> Number(const std::vector<Key>& keys, std::map<Key, uint32_t>* numbers) {
  std::vector<uint32_t> inverse;
  for (const Key key : keys) {
    inverse.push_back(
        numbers->try_emplace(key, static_cast<uint32_t>(numbers->size())).first->second);
  }
  return inverse;
}

TEST(Deduplicator, NumbersKeysByFirstOccurrenceOverAllSources) {
  Deduplicator dedup;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::vector<std::vector<Key>> sources(random() % 6);
    size_t total = 0;
    for (auto& source : sources) {
      source = RandomKeys(random, random() % 3 ? random() % 2000 : 0, 1 + random() % 3000);
      total += source.size();
    }
    std::map<Key, uint32_t> numbers;
    std::vector<Key> unique(total);
    const uint32_t base = static_cast<uint32_t>(random() % 100);
    dedup.Begin(total);
    for (const auto& source : sources) {
      std::vector<uint32_t> expected = Number(source, &numbers);
      for (uint32_t& number : expected) number += base;
      std::vector<uint32_t> inverse(source.size());
      EXPECT_EQ(dedup.Add(source, base, inverse.data(), unique.data()), numbers.size());
      EXPECT_EQ(inverse, expected);
    }
    for (const auto& [key, number] : numbers) EXPECT_EQ(unique[number], key);
  }
}

TEST(Deduplicator, KeysOfAnEarlierCallAreForgotten) {
  Deduplicator dedup;
  std::vector<Key> unique(3);
  std::vector<uint32_t> inverse(3);
  for (int call = 0; call < 1000; ++call) {
    const std::vector<Key> keys = {Key{7}, Key{0}, Key{7}};
    dedup.Begin(3);
    EXPECT_EQ(dedup.Add(keys, 0, inverse.data(), unique.data()), 2u);
    EXPECT_EQ(inverse, (std::vector<uint32_t>{0, 1, 0}));
  }
}

TEST(Contributions, ListsThePositionsOfEachKeyAscending) {
  Contributions contributions;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const size_t unique = random() % 300;
    std::vector<uint32_t> inverse(unique ? random() % 2000 : 0);
    std::map<uint32_t, std::vector<uint32_t>> expected;
    for (uint32_t i = 0; i < inverse.size(); ++i) {
      inverse[i] = static_cast<uint32_t>(random() % unique);
      expected[inverse[i]].push_back(i);
    }
    contributions.Build(inverse, unique);
    ASSERT_EQ(contributions.size(), unique);
    for (uint32_t key = 0; key < unique; ++key) {
      const auto found = contributions[key];
      EXPECT_EQ(std::vector<uint32_t>(found.begin(), found.end()), expected[key]);
    }
  }
}

TEST(ShardGrouper, MakesEachServersKeysContiguousAndKeepsTheInverse) {
  ShardGrouper grouper;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const int servers = 1 + static_cast<int>(random() % 9);
    const std::vector<Key> source = RandomKeys(random, random() % 3000, 1000);
    Deduplicator dedup;
    std::vector<Key> unique(source.size());
    std::vector<uint32_t> inverse(source.size()), begin;
    dedup.Begin(source.size());
    unique.resize(dedup.Add(source, 0, inverse.data(), unique.data()));
    grouper.Group(servers, unique, inverse, &begin);
    ASSERT_EQ(begin.size(), static_cast<size_t>(servers) + 1);
    EXPECT_EQ(begin.front(), 0u);
    EXPECT_EQ(begin.back(), unique.size());
    for (int s = 0; s < servers; ++s) {
      for (uint32_t k = begin[static_cast<size_t>(s)]; k < begin[static_cast<size_t>(s) + 1]; ++k) {
        EXPECT_EQ(ShardOf(PartitionOf(unique[k]), servers), s);
      }
    }
    for (size_t i = 0; i < source.size(); ++i) EXPECT_EQ(unique[inverse[i]], source[i]);
  }
}

// Slots 0 and 2 share table 0, slot 1 has table 1.
Topology TwoTables(int servers) {
  Topology topology;
  for (int s = 0; s < servers; ++s) topology.servers.push_back(Rank{s});
  topology.dims = {4, 8};
  topology.slot_tables = {0, 1, 0};
  topology.table_slots = {{0, 2}, {1}};
  topology.slot_position = {0, 0, 1};
  return topology;
}

std::vector<LaneKeys> RandomLanes(std::mt19937_64& random, size_t count) {
  std::vector<LaneKeys> lanes(count);
  for (LaneKeys& lane : lanes) {
    const size_t rows = random() % 4 ? random() % 40 : 0;
    lane.resize(3);
    for (JaggedKeys& slot : lane) {
      for (size_t b = 0; b < rows; ++b) {
        for (size_t i = random() % 5; i-- > 0;) slot.keys.push_back(Key{random() % 60});
        slot.offsets.push_back(static_cast<int32_t>(slot.keys.size()));
      }
    }
  }
  return lanes;
}

struct Counted {
  uint32_t occurrences = 0;
  uint32_t samples = 0;
};

std::map<Key, Counted> CountTable(const Topology& topology, size_t table,
                                  const std::vector<LaneKeys>& lanes) {
  std::map<Key, Counted> counts;
  for (const LaneKeys& lane : lanes) {
    for (size_t b = 0; b + 1 < lane[0].offsets.size(); ++b) {
      std::map<Key, uint32_t> row;
      for (const int slot : topology.table_slots[table]) {
        const JaggedKeys& keys = lane[static_cast<size_t>(slot)];
        for (int32_t i = keys.offsets[b]; i < keys.offsets[b + 1]; ++i) {
          ++row[keys.keys[static_cast<size_t>(i)]];
        }
      }
      for (const auto& [key, occurrences] : row) {
        counts[key].occurrences += occurrences;
        ++counts[key].samples;
      }
    }
  }
  return counts;
}

TEST(WorkerKeysBuilder, CountsOccurrencesAndSamplesOfEachKeyOverSlotsAndLanes) {
  std::vector<WorkerTable> tables;  // reused, as a step's are
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const Topology topology = TwoTables(1 + static_cast<int>(seed % 3));
    WorkerKeysBuilder builder(topology);
    const std::vector<LaneKeys> lanes = RandomLanes(random, random() % 5);
    builder.Build(lanes, /*training=*/true, &tables);
    for (size_t t = 0; t < 2; ++t) {
      const auto expected = CountTable(topology, t, lanes);
      ASSERT_EQ(tables[t].unique(), expected.size());
      for (uint32_t k = 0; k < tables[t].unique(); ++k) {
        const auto found = expected.find(tables[t].keys[k]);
        ASSERT_NE(found, expected.end());
        EXPECT_EQ(tables[t].counts[k].occurrences, found->second.occurrences);
        EXPECT_EQ(tables[t].counts[k].samples, found->second.samples);
      }
    }
  }
}

TEST(WorkerKeysBuilder, LeadsFromEveryOccurrenceToItsKeyAndKeepsLanesApart) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const Topology topology = TwoTables(2);
    WorkerKeysBuilder builder(topology);
    const std::vector<LaneKeys> lanes = RandomLanes(random, 1 + random() % 4);
    std::vector<WorkerTable> tables;
    builder.Build(lanes, /*training=*/true, &tables);
    for (size_t t = 0; t < 2; ++t) {
      const WorkerTable& table = tables[t];
      size_t at = 0;
      for (size_t l = 0; l < lanes.size(); ++l) {
        for (const int slot : topology.table_slots[t]) {
          const uint32_t* positions = table.occurrences.data() + table.occurrence_begin[at++];
          const auto& keys = lanes[l][static_cast<size_t>(slot)].keys;
          for (size_t i = 0; i < keys.size(); ++i) {
            EXPECT_GE(positions[i], table.lane_begin[l]);
            EXPECT_LT(positions[i], table.lane_begin[l + 1]);
            EXPECT_EQ(table.keys[table.key_of[positions[i]]], keys[i]);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace trestle
