#include "base/nearest_name.h"

#include <gtest/gtest.h>

#include <vector>

namespace trestle {
namespace {

TEST(NearestName, EditDistanceCountsChangesAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("abc", ""), 3);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("itme", "item"), 1);
  EXPECT_EQ(EditDistance("DICE", "dice"), 0);
}

TEST(NearestName, IsTheClosestOrNoneIfAllAreFar) {
  const std::vector<std::string> known = {"item", "cate_id", "brand"};
  EXPECT_EQ(NearestName("itme", known), "item");
  EXPECT_EQ(NearestName("cat_id", known), "cate_id");
  EXPECT_EQ(NearestName("zzzzz", known), "");
  EXPECT_EQ(NearestName("item", {}), "");
  EXPECT_EQ(Suggestion("itme", known), "; did you mean \"item\"? ");
  EXPECT_EQ(Suggestion("zzzzz", known), "; ");
  EXPECT_EQ(JoinNames(known), "item, cate_id, brand");
}

}  // namespace
}  // namespace trestle
