#include <gtest/gtest.h>

#include "ps/node.h"

namespace trestle {
namespace {

std::vector<int> Values(const std::vector<Rank>& ranks) {
  std::vector<int> values;
  for (const Rank rank : ranks) values.push_back(rank.value);
  return values;
}

using Ints = std::vector<int>;

TEST(AssignRoles, ZeroServersPutsBothRolesInEveryRank) {
  auto roles = AssignRoles(0, {"a", "a", "b"});
  ASSERT_TRUE(roles.ok());
  EXPECT_EQ(Values(roles->servers), (Ints{0, 1, 2}));
  EXPECT_EQ(Values(roles->workers), (Ints{0, 1, 2}));
}

TEST(AssignRoles, DedicatedServersSpreadEvenlyOverHosts) {
  const std::vector<std::string> hosts = {"a", "a", "a", "b", "b", "b", "c", "c"};
  auto two = AssignRoles(2, hosts);
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(Values(two->servers), (Ints{0, 3}));
  EXPECT_EQ(Values(two->workers), (Ints{1, 2, 4, 5, 6, 7}));
  auto five = AssignRoles(5, hosts);
  ASSERT_TRUE(five.ok());
  EXPECT_EQ(Values(five->servers), (Ints{0, 1, 3, 4, 6}));
  EXPECT_EQ(Values(five->workers), (Ints{2, 5, 7}));
}

TEST(AssignRoles, NoWorkerLeftIsAnErrorThatSaysWhatIsAllowed) {
  for (const int servers : {-1, 2, 3}) {
    auto roles = AssignRoles(servers, {"a", "b"});
    ASSERT_EQ(roles.status().code(), StatusCode::kInvalidConfig) << servers;
    EXPECT_NE(roles.status().ToString().find("cluster.servers is " + std::to_string(servers)),
              std::string::npos);
    EXPECT_NE(roles.status().ToString().find("to 1"), std::string::npos);
  }
  EXPECT_EQ(AssignRoles(1, {"a"}).status().code(), StatusCode::kInvalidConfig);
}

}  // namespace
}  // namespace trestle
