#include "launcher/run_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

TEST(RunLock, SecondTakerIsToldWhoHasIt) {
  const TempDir dir;
  const auto first = RunLock::Take(dir.path());
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  const auto second = RunLock::Take(dir.path());
  EXPECT_EQ(second.status().code(), StatusCode::kInvalidConfig);
  EXPECT_THAT(second.status().ToString(), HasSubstr(dir.path() + " is in use by another run (pid " +
                                                    std::to_string(getpid()) + " on host "));
  EXPECT_THAT(second.status().ToString(), HasSubstr("; set checkpoint.dir"));
}

TEST(RunLock, IsFreeOnceItsHolderIsGone) {
  const TempDir dir;
  for (int run = 0; run < 3; ++run) {
    const auto lock = RunLock::Take(dir.path());
    EXPECT_TRUE(lock.ok()) << lock.status().ToString();
  }
}

TEST(RunLock, FoldersAreIndependent) {
  const TempDir a, b;
  const auto one = RunLock::Take(a.path());
  const auto other = RunLock::Take(b.path());
  EXPECT_TRUE(one.ok() && other.ok());
}

TEST(RunLock, FolderThatIsNotThereIsAnError) {
  const auto lock = RunLock::Take("/nowhere/run");
  EXPECT_EQ(lock.status().code(), StatusCode::kIoError);
  EXPECT_THAT(lock.status().ToString(), HasSubstr("/nowhere/run/lock"));
}

}  // namespace
}  // namespace trestle
