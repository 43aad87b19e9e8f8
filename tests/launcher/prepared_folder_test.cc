#include "launcher/prepare/prepared_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

TEST(PreparedFolder, IsRefusedToASecondCall) {
  const TempDir dir;
  const auto first = PreparedFolder::Open(FileSystem::Local(), dir.path(), false);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  const Status second = PreparedFolder::Open(FileSystem::Local(), dir.path(), true).status();
  EXPECT_EQ(second.code(), StatusCode::kInUse);
  EXPECT_THAT(second.ToString(), HasSubstr(dir.path() + " is in use by another run (pid "));
  EXPECT_THAT(second.ToString(), HasSubstr("; choose another folder"));
}

}  // namespace
}  // namespace trestle
