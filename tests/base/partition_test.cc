#include "base/partition.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace trestle {
namespace {

TEST(Partition, EveryServerOwnsItsContiguousRange) {
  for (int servers = 1; servers <= 70; ++servers) {
    ASSERT_EQ(ShardBegin(0, servers), 0u);
    ASSERT_EQ(ShardBegin(servers, servers), kPartitions);
    int server = 0;
    for (uint32_t partition = 0; partition < kPartitions; ++partition) {
      while (partition >= ShardBegin(server + 1, servers)) ++server;
      ASSERT_EQ(ShardOf(partition, servers), server) << partition << " of " << servers;
    }
    ASSERT_EQ(server, servers - 1);
  }
}

TEST(Partition, ServersOwnEqualShares) {
  for (int servers = 1; servers <= 70; ++servers) {
    for (int s = 0; s < servers; ++s) {
      const uint32_t size = ShardBegin(s + 1, servers) - ShardBegin(s, servers);
      ASSERT_LE(size, kPartitions / servers + 1);
      ASSERT_GE(size, kPartitions / servers);
    }
  }
}

TEST(Partition, HoldsWhenEveryPartitionHasAServer) {
  for (const int servers : {65'535, 65'536}) {
    for (int s = 0; s < servers; ++s) ASSERT_EQ(ShardOf(ShardBegin(s, servers), servers), s);
  }
}

TEST(Partition, ConsecutiveKeysSpreadEvenly) {
  constexpr int kServers = 7;
  constexpr uint64_t kKeys = 700'000;
  std::vector<int64_t> counts(kServers, 0);
  for (uint64_t key = 0; key < kKeys; ++key) {
    const uint32_t partition = PartitionOf(Key{key});
    ASSERT_LT(partition, kPartitions);
    ++counts[ShardOf(partition, kServers)];
  }
  // 100,000 each; the standard deviation of an even spread is 293.
  for (const int64_t count : counts) EXPECT_NEAR(static_cast<double>(count), 100'000.0, 2000.0);
}

}  // namespace
}  // namespace trestle
